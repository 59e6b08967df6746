/** One live photo, from the open camera to the sealed picture. The camera is closed whatever happens. */

import { onBeforeUnmount, ref, shallowRef, type Ref, type ShallowRef } from 'vue'

import { proofs } from '../../api/proofs'
import { base64Of, CameraError, closeCamera, findPlace, frameOf, openCamera, PlaceError, type CameraFault, type PlaceFault } from '../../proofs/camera'
import type { NonceView, Place, ProofView } from '../../proofs/types'

/** `opening` → `aiming` → `taken` → `sealing` → `sealed`; `over`: the minute went by. */
export type PhotoState = 'opening' | 'aiming' | 'taken' | 'sealing' | 'sealed' | 'over'

export interface Photo {
  readonly state: Ref<PhotoState>
  readonly nonce: ShallowRef<NonceView | null>
  /** Milliseconds of this machine's clock at which the nonce runs out. */
  readonly until: Ref<number>
  readonly stream: ShallowRef<MediaStream | null>
  /** An address of the picture that was taken. */
  readonly shown: Ref<string>
  readonly proof: ShallowRef<ProofView | null>
  readonly camera: Ref<CameraFault | null>
  readonly fault: ShallowRef<unknown>
  readonly place: ShallowRef<Place | null>
  readonly placeFault: Ref<PlaceFault | null>
  begin(pledge: string, task: number): Promise<void>
  turn(): Promise<void>
  shoot(video: HTMLVideoElement): Promise<void>
  seal(): Promise<void>
  locate(wanted: boolean): Promise<void>
  expire(): void
  end(): void
}

export function usePhoto(): Photo {
  const state = ref<PhotoState>('opening')
  const nonce = shallowRef<NonceView | null>(null)
  const until = ref(0)
  const stream = shallowRef<MediaStream | null>(null)
  const shown = ref('')
  const proof = shallowRef<ProofView | null>(null)
  const camera = ref<CameraFault | null>(null)
  const fault = shallowRef<unknown>(null)
  const place = shallowRef<Place | null>(null)
  const placeFault = ref<PlaceFault | null>(null)
  let picture: Blob | null = null
  let of = { pledge: '', task: 0 }
  let back = true
  let turns = 0

  function close(): void {
    closeCamera(stream.value)
    stream.value = null
    URL.revokeObjectURL(shown.value)
    shown.value = ''
  }

  function end(): void {
    turns += 1
    close()
    picture = null
    place.value = null
    placeFault.value = null
  }

  /** A camera that comes when nobody waits for it any more is closed at once. */
  async function open(mine: number): Promise<void> {
    const opened = await openCamera(back)
    if (mine !== turns) closeCamera(opened)
    else stream.value = opened
  }

  async function begin(pledge: string, task: number): Promise<void> {
    const mine = (turns += 1)
    close()
    of = { pledge, task }
    picture = null
    proof.value = fault.value = camera.value = null
    state.value = 'opening'
    try {
      await open(mine)
      const fresh = await proofs.ask(pledge, task) // the minute begins when the picture is there
      if (mine !== turns) return
      nonce.value = fresh
      until.value = Date.now() + (fresh.until - fresh.at)
      state.value = 'aiming'
    } catch (error) {
      if (mine !== turns) return
      close()
      if (error instanceof CameraError) camera.value = error.fault
      else fault.value = error
    }
  }

  async function turn(): Promise<void> {
    const mine = turns
    back = !back
    closeCamera(stream.value)
    try {
      await open(mine)
    } catch (error) {
      if (mine === turns && error instanceof CameraError) camera.value = error.fault
    }
  }

  async function shoot(video: HTMLVideoElement): Promise<void> {
    const mine = turns
    try {
      const taken = await frameOf(video)
      if (mine !== turns) return
      close()
      picture = taken
      shown.value = URL.createObjectURL(taken)
      state.value = 'taken'
    } catch {
      if (mine === turns) camera.value = 'failed'
    }
  }

  async function seal(): Promise<void> {
    const mine = turns
    if (!picture || !nonce.value) return
    state.value = 'sealing'
    fault.value = null
    try {
      const sealed = await proofs.take(of.pledge, nonce.value.nonce, await base64Of(picture), place.value)
      if (mine !== turns) return
      proof.value = sealed
      state.value = 'sealed'
    } catch (error) {
      if (mine !== turns) return
      fault.value = error
      state.value = 'taken'
    }
  }

  async function locate(wanted: boolean): Promise<void> {
    const mine = turns
    place.value = placeFault.value = null
    if (!wanted) return
    try {
      const found = await findPlace()
      if (mine === turns) place.value = found
    } catch (error) {
      if (mine === turns) placeFault.value = error instanceof PlaceError ? error.fault : 'unknown'
    }
  }

  function expire(): void {
    if (state.value !== 'aiming' && state.value !== 'taken') return
    close()
    state.value = 'over'
  }

  const hide = (): void => {
    if (document.hidden && state.value === 'aiming') expire() // nobody looks: no camera runs
  }
  document.addEventListener('visibilitychange', hide)
  onBeforeUnmount(() => {
    document.removeEventListener('visibilitychange', hide)
    end()
  })

  return { state, nonce, until, stream, shown, proof, camera, fault, place, placeFault, begin, turn, shoot, seal, locate, expire, end }
}
