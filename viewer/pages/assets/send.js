// Sends photos: at most three at a time, with progress, patience with a busy server, and the result awaited.

import { Problem, getJson } from './api.js'

const AT_ONCE = 3
const WAIT_SECONDS = 10
const MOST_TRIES = 6
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000
const FIRST_LOOK_MS = 400
const LATER_LOOK_MS = 2_500

/**
 * @typedef {{ onUploading(share: number): void, onPause(wait_ms: number, problem: Problem): void, onWorking(): void, onQueued(frame: any): void }} Progress
 */

/** @type {(() => void)[]} */
const waiting = []
let running = 0

/**
 * Sends a photo and comes back with its frame, done or failed.
 *
 * @param {File} file
 * @param {string} model empty for the server's default
 * @param {Progress} progress
 * @returns {Promise<any>} what `/api/frames/{id}` says
 */
export async function send(file, model, progress) {
  await turn()
  let frame
  try {
    frame = await submitPatiently(file, model, progress)
  } finally {
    running -= 1
    waiting.shift()?.()
  }
  if (frame.status === 'queued') progress.onQueued(frame)
  return settled(frame)
}

/** Waits until fewer than the most are under way. */
async function turn() {
  while (running >= AT_ONCE) await new Promise((resolve) => waiting.push(() => resolve(null)))
  running += 1
}

/**
 * Looks until a frame is done or failed.
 *
 * @param {any} frame
 * @returns {Promise<any>}
 */
export async function settled(frame) {
  let wait_ms = FIRST_LOOK_MS
  while (frame.status === 'queued') {
    await pause(wait_ms)
    wait_ms = Math.min(LATER_LOOK_MS, wait_ms * 1.5)
    try {
      frame = await getJson(`/api/frames/${encodeURIComponent(frame.id)}`)
    } catch (error) {
      // The photo is safe with the server: only an answer that it is gone ends the wait.
      if (!(error instanceof Problem) || (error.status >= 400 && error.status < 500 && error.status !== 429)) throw error
    }
  }
  return frame
}

/** @param {File} file @param {string} model @param {Progress} progress */
async function submitPatiently(file, model, progress) {
  for (let tries = 1; ; tries += 1) {
    const answer = await submit(file, model, progress)
    if (answer.status >= 200 && answer.status < 300) return JSON.parse(answer.body)
    const problem = answer.status === 0 ? Problem.unreachable() : Problem.read(answer.status, answer.body)
    const worthWaiting = answer.status === 429 || answer.status === 503
    if (!worthWaiting || tries === MOST_TRIES) throw problem
    const wait_ms = retryAfter(answer.retryAfter) ?? Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (tries - 1))
    progress.onPause(wait_ms, problem)
    await pause(wait_ms)
  }
}

/**
 * One attempt. XMLHttpRequest, since fetch tells no progress of what it sends.
 *
 * @param {File} file
 * @param {string} model
 * @param {Progress} progress
 * @returns {Promise<{ status: number, body: string, retryAfter: string | null }>}
 */
function submit(file, model, progress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest()
    const query = new URLSearchParams({ wait: `${WAIT_SECONDS}s` })
    if (model) query.set('model', model)
    request.open('POST', `/api/frames?${query}`)
    request.setRequestHeader('accept', 'application/json')
    request.setRequestHeader('content-type', file.type || 'application/octet-stream')
    request.upload.onprogress = ({ loaded, total }) => progress.onUploading(total ? loaded / total : 0)
    request.upload.onload = () => progress.onWorking()
    request.onloadend = () =>
      resolve({ status: request.status, body: request.responseText, retryAfter: request.getResponseHeader('retry-after') })
    progress.onUploading(0)
    request.send(file)
  })
}

/**
 * Retry-After is a number of seconds or a date.
 *
 * @param {string | null} header
 * @returns {number | null} milliseconds
 */
export function retryAfter(header) {
  if (!header) return null
  const seconds = Number(header)
  const wait_ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now()
  return Number.isFinite(wait_ms) ? Math.min(120_000, Math.max(0, wait_ms)) : null
}

/** @param {number} wait_ms */
const pause = (wait_ms) => new Promise((resolve) => setTimeout(resolve, wait_ms))
