// Numbers, times and sizes as a person reads them.

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

/** 14:05:12 @param {number} at_ms */
export const clockTime = (at_ms) => CLOCK.format(at_ms)

/** Date and time. @param {number} at_ms */
export const dateTime = (at_ms) => DATE.format(at_ms)

/**
 * A latency: 84 ms, 1.2 s, 3 min.
 *
 * @param {number | null | undefined} time_ms
 */
export function milliseconds(time_ms) {
  if (time_ms === null || time_ms === undefined || !Number.isFinite(time_ms)) return '–'
  if (Math.abs(time_ms) < 9.95) return `${time_ms.toFixed(1)} ms`
  if (Math.abs(time_ms) < 999.5) return `${Math.round(time_ms)} ms`
  if (time_ms < 9_950) return `${(time_ms / 1000).toFixed(1)} s`
  return duration(time_ms)
}

/**
 * How long ago: 12 s, 3 min 5 s, 2 h 4 min.
 *
 * @param {number} time_ms
 */
export function duration(time_ms) {
  const seconds = Math.max(0, Math.round(time_ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** 14.9 fps, 15 fps @param {number} fps */
export const perSecond = (fps) => `${fps < 9.95 ? fps.toFixed(1) : Math.round(fps)} fps`

/** 97% @param {number} share 0 to 1 */
export const percent = (share) => `${Math.round(share * 100)}%`

/**
 * A file's size.
 *
 * @param {number} bytes
 */
export function size(bytes) {
  if (bytes < 1_000) return `${bytes} B`
  if (bytes < 999_500) return `${Math.round(bytes / 1_000)} kB`
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}

/** One frame, 3 frames @param {number} count @param {string} one @param {string} [many] */
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`

/** parts 1 @param {{ name: string, version: number } | null | undefined} model */
export const modelName = (model) => (model ? `${model.name} v${model.version}` : '–')

/**
 * The value in the middle.
 *
 * @param {number[]} values
 * @returns {number | null}
 */
export function median(values) {
  if (values.length === 0) return null
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]
}
