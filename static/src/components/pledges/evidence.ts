/** The evidence log of a pledge, asked for once by those who show some of it. */

import { watch } from 'vue'

import { pledges } from '../../api/pledges'
import type { EvidenceList, PledgeView } from '../../pledges/types'
import { useLoaded, type Loaded } from '../loaded'

/** Asked for again with each new version of the pledge. */
export function useEvidence(pledge: () => PledgeView): Loaded<EvidenceList> {
  const loaded = useLoaded(() => pledges.evidence(pledge().id))
  watch(() => `${pledge().id} ${pledge().version}`, () => void loaded.load(), { immediate: true })
  return loaded
}
