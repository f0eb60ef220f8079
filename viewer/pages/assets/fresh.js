// When a picture is too old to be shown as live, and how that is said.

import { clockTime, duration } from './format.js'

const QUIET_FRAMES = 6
const SHORTEST_QUIET_MS = 5_000
const LONGEST_QUIET_MS = 60_000

/**
 * A source that the server calls live, yet whose pictures do not arrive here for this long, is not
 * shown as live. The server's own verdict needs five frames.
 *
 * @param {import('./live.js').Summary} summary
 */
export function quietAfter({ fps }) {
  if (!(fps > 0)) return LONGEST_QUIET_MS
  return Math.min(LONGEST_QUIET_MS, Math.max(SHORTEST_QUIET_MS, (QUIET_FRAMES * 1_000) / fps))
}

/**
 * "stale since 14:05:12 (12 s)".
 *
 * @param {import('./live.js').Summary} summary
 * @param {number | null} now_ms on the server's clock, where it is known
 */
export function staleWords({ stale_since_ms, last_joined_ms }, now_ms) {
  const since_ms = stale_since_ms ?? last_joined_ms
  if (since_ms === null) return 'stale'
  const ago = now_ms === null ? '' : ` (${duration(now_ms - since_ms)})`
  return `stale since ${clockTime(since_ms)}${ago}`
}
