/** The words of a message as elements. They are made one by one from the tree: nothing that people write ever becomes markup. */

import { computed, defineComponent, h, type PropType, type VNode, type VNodeArrayChildren } from 'vue'
import { RouterLink } from 'vue-router'

import type { Inline } from '../../chat/inline'
import type { Link } from '../../chat/links'
import { blocksOf, type Block } from '../../chat/markdown'
import { useText } from '../../i18n'
import { usePeople } from '../../stores/people'
import { useSession } from '../../stores/session'
import CodeBlock from './CodeBlock.vue'
import './markdown.css'
import { useRoomIfAny } from './room'

const TAGS = { strong: 'strong', emphasis: 'em', strike: 's' } as const

export default defineComponent({
  name: 'MarkdownText',
  props: {
    text: { type: String, required: true },
    /** Who is called by name: other handles stay words. */
    mentions: { type: Array as PropType<readonly string[]>, default: () => [] },
    everybody: Boolean,
  },
  setup(props, { slots }) {
    const { t } = useText()
    const people = usePeople()
    const session = useSession()
    const room = useRoomIfAny()
    const blocks = computed(() => blocksOf(props.text))
    const called = computed(() => new Map(props.mentions.map((id) => [people.card(id)?.handle ?? '', id])))

    function mention(handle: string): VNode | string {
      if (handle === 'all' && props.everybody) return h('span', { class: 'mention mention--own' }, `@${t('messages.everybody')}`)
      const id = called.value.get(handle)
      if (id === undefined || handle === '') return `@${handle}`
      const own = id === session.me?.id
      return h(
        RouterLink,
        { to: `/people/${id}`, class: ['mention', { 'mention--own': own }], onClick: (event: Event) => event.stopPropagation() },
        () => `@${people.nameOf(id)}`,
      )
    }

    function link(node: Link): VNode {
      return h(
        'a',
        {
          href: node.href,
          target: '_blank',
          rel: 'noopener noreferrer nofollow',
          class: 'link',
          title: node.plain ? undefined : node.href,
          onClick: (event: Event) => {
            event.stopPropagation()
            if (node.plain || !room) return
            event.preventDefault()
            room.follow(node)
          },
        },
        node.text,
      )
    }

    function inline(nodes: readonly Inline[]): VNodeArrayChildren {
      return nodes.map((node) => {
        switch (node.type) {
          case 'text':
            return node.text
          case 'break':
            return h('br')
          case 'code':
            return h('code', { class: 'code' }, node.text)
          case 'mention':
            return mention(node.handle)
          case 'link':
            return link(node)
          default:
            return h(TAGS[node.type], inline(node.children))
        }
      })
    }

    /** `end` stands in the last line of the words, where it ends in one. */
    function block(each: Block, end: () => VNodeArrayChildren): VNode {
      switch (each.type) {
        case 'paragraph':
          return h('p', { dir: 'auto' }, [...inline(each.children), ...end()])
        case 'code':
          return h(CodeBlock, { text: each.text, language: each.language })
        case 'quote':
          return h('blockquote', all(each.children))
        case 'list':
          return each.ordered
            ? h('ol', { start: each.start }, each.items.map((item) => h('li', all(item))))
            : h('ul', each.items.map((item) => h('li', all(item))))
      }
    }

    const nothing = (): VNodeArrayChildren => []
    const all = (each: readonly Block[]): VNode[] => each.map((one) => block(one, nothing))

    return () => {
      const end = (): VNodeArrayChildren => slots['end']?.() ?? []
      const last = blocks.value.at(-1)
      const within = last?.type === 'paragraph'
      const shown = blocks.value.map((one) => block(one, one === last && within ? end : nothing))
      return h('div', { class: 'markdown words', dir: 'auto' }, [...shown, ...(within ? [] : end())])
    }
  },
})
