/** What the HTTP API takes and gives (docs/http.md): the types that are generated from the server's own. */

export type {
  ChangeMeRequest as Profile,
  Conversation,
  FindPersonRequest,
  Friend,
  FriendRequest,
  Friends,
  Language,
  Me,
  Member,
  MemberPosition,
  PersonCard,
  PersonView,
  RegisterRequest as Registration,
  Relation,
  SessionView,
} from '@vouch/realtime/http'
