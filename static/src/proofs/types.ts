/** The words of live proofs as they travel. */

export type { NonceView, Place, ProofView, Verified } from '@vouch/realtime/http'
