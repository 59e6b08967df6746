import type en from '../en/record'
import type { Texts } from '../texts'

const record: Texts<typeof en> = {
  title: '守约记录',
  none: '还没有结束的约定。',
  onTime: '{count} 次里按时 {done} 次',
  late: '宽限内完成 {n} 次',
  promises: '{count} 个约定做到 {kept} 个',
  stamped: '为别人盖章 {n} 次',
  overruled: '其中 {n} 次被推翻',
  points: '{n} 分',
  since: '自 {date} 起',
  show: '让别人看到',
  showHint: '只有事实，没有评分：按时多少、做到多少、盖过多少章。随时可以改。',
  showHintMinor: '只有你的家人和朋友看得到。',
  shown: '现在别人看得到了',
  hidden: '现在只有你看得到',
  loadFailed: '守约记录没能读到',
}

export default record
