/** The words of pledges as they travel. What the server always tells is never optional here. */

import type * as wire from '@vouch/realtime/http'

export type { CaseKind, CheckState, EvidenceKind, Outcome, PledgeState, SeatState, SeatVia, StakeState, TaskState, Verdict } from '@vouch/realtime'
export type {
  Application,
  CaseView,
  CheckAnswer,
  CheckView,
  CohortView,
  Desk,
  DeskCase,
  DeskSeat,
  Duty,
  DutyView,
  EvidenceList,
  EvidenceView,
  Flag,
  Fund,
  MeetingView,
  NewCohort,
  NewPledge,
  OccurrenceView,
  PledgeCard,
  PledgeList,
  Preview,
  Record as PledgeRecord,
  Report,
  Rule,
  RuleKind,
  ServerSupervisionViewsSeatView as SeatView,
  Share,
  Side,
  Split,
  StakeKind,
  StakeView,
  Stamp,
  SuspicionView,
  TallyView,
  TaskView,
  Template,
  Templates,
  Visibility,
  VoteView,
} from '@vouch/realtime/http'

/** Terms as they are answered: with everything that may be left out when they are sent. */
export type Terms = Omit<Required<wire.Terms>, 'tasks' | 'stake' | 'rule' | 'checks'> & {
  tasks: Required<wire.TaskTerms>[]
  stake: Required<wire.StakeTerms>
  rule: Required<wire.VerdictRule>
  checks: Required<wire.CheckTerms>
}

export type PledgeView = Omit<wire.PledgeView, 'terms'> & { terms: Terms }

export type Funding = Omit<wire.Funding, 'pledge'> & { pledge: PledgeView }
