import type en from '../en/shell'
import type { Texts } from '../texts'

const shell: Texts<typeof en> = {
  skip: '跳到正文',
  update: { text: '新版本已就绪。', take: '刷新' },
  keys: {
    title: '快捷键',
    groups: { general: '任何地方', chats: '切换聊天', messages: '聊天中', writing: '输入时', calls: '通话中' },
    overview: '打开这份快捷键',
    search: '搜索',
    close: '收起聊天旁边的面板',
    areas: '切换栏目',
    previous: '上一个聊天',
    next: '下一个聊天',
    previousUnread: '上一个未读聊天',
    nextUnread: '下一个未读聊天',
    pages: '向上或向下翻一屏',
    oldest: '已加载的最早一条消息',
    newest: '最新消息',
    reply: '回复最后一条消息',
    send: '发送',
    newLine: '换行',
    edit: '修改自己的上一条消息（输入框为空时）',
  },
  look: { signs: '标记', views: '视图', waiting: '等待中', filter: '只看未读', switch: '声音', switchHint: '立即生效。', floating: '打开小卡片' },
  history: {
    loadingNewer: '正在加载后面的消息',
    newerFailed: '后面的消息没有加载出来。',
    notThere: '这条消息不在了，先看它后面的。',
  },
}

export default shell
