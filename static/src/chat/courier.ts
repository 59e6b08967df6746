/** Carries one file along its course (upload.ts): does each step, waits where it is told to, and tells how far it is. */

import type { Upload } from '../api/types'
import { answered, faulted, hurried, isOver, stepOf, type Course, type Trouble } from './upload'

/** The server's side of it. Every refusal is thrown; `trouble` reads it. */
export interface Counter {
  create(signal: AbortSignal): Promise<Upload>
  ask(upload: string, signal: AbortSignal): Promise<Upload>
  /** `moved` is told how many bytes of this piece have left. */
  send(upload: string, from: number, piece: Blob, moved: (bytes: number) => void, signal: AbortSignal): Promise<Upload>
}

export interface Surroundings {
  /** Milliseconds. */
  now(): number
  /** 0 ≤ x < 1. */
  random(): number
  /** Resolves after so many milliseconds; sooner, and with true, when there is reason to try at once. Rejects when aborted. */
  rest(milliseconds: number, signal: AbortSignal): Promise<boolean>
  trouble(error: unknown): Trouble
}

/**
 * Goes on until it is over; the last course is returned. `tell` hears of each step, with the bytes of the present piece
 * that have left. Rejects only when `signal` is aborted.
 */
export async function carry(
  start: Course,
  file: Blob,
  counter: Counter,
  around: Surroundings,
  signal: AbortSignal,
  tell: (course: Course, more: number) => void,
): Promise<Course> {
  let course = start
  while (!isOver(course)) {
    if (course.pause > 0 && (await around.rest(course.pause, signal))) course = hurried(course)
    signal.throwIfAborted()
    course = await walked(course, file, counter, around, signal, tell)
    signal.throwIfAborted()
    tell(course, 0)
  }
  return course
}

async function walked(
  course: Course,
  file: Blob,
  counter: Counter,
  around: Surroundings,
  signal: AbortSignal,
  tell: (course: Course, more: number) => void,
): Promise<Course> {
  const step = stepOf(course)
  try {
    if (step.do === 'create') return answered(course, await counter.create(signal))
    if (step.do === 'ask') return answered(course, await counter.ask(step.upload, signal))
    if (step.do === 'rest') return course
    const began = around.now()
    const answer = await counter.send(step.upload, step.from, file.slice(step.from, step.to), (more) => tell(course, more), signal)
    return answered(course, answer, around.now() - began)
  } catch (error) {
    signal.throwIfAborted()
    return faulted(course, around.trouble(error), around.random())
  }
}
