/** Brings the words of the pages of calls, which the first load does without. Importing it is enough. */

import { i18n } from '../../i18n'
import en from '../../locales/en/calls'
import zhCN from '../../locales/zh-CN/calls'

i18n.global.mergeLocaleMessage('en', { calls: en })
i18n.global.mergeLocaleMessage('zh-CN', { calls: zhCN })
