/** The few components that are Element Plus's own. By their own paths: its index would bring all the others along. */

export { ElButton } from 'element-plus/es/components/button/index'
export { ElCheckbox } from 'element-plus/es/components/checkbox/index'
export { ElInput } from 'element-plus/es/components/input/index'
