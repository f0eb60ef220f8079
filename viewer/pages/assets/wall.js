// The live wall: a tile for every live source, sorted by name, in columns that fill the screen.

import { ConnectionBanner } from './connection.js'
import { byId, setText } from './dom.js'
import { median, plural } from './format.js'
import { arrange } from './layout.js'
import { Live } from './live.js'
import { Tile } from './tile.js'

const SMALLEST_TILE_REM = 18
const IDLE_MS = 3_000

const kiosk = new URLSearchParams(location.search).has('kiosk')
const wall = byId('wall')
const banner = new ConnectionBanner()
const byName = new Intl.Collator(undefined, { numeric: true })
/** @type {Map<string, Tile>} */
const tiles = new Map()
let heardSources = false

const live = new Live({
  onFrame: (frame) => tiles.get(frame.header.source)?.show(frame),
  onSources: showSources,
  onState: (state) => {
    banner.update(state)
    refresh()
  },
})

/** @param {import('./live.js').Summary[]} summaries */
function showSources(summaries) {
  heardSources = true
  const present = new Set(summaries.map(({ id }) => id))
  let changed = false
  for (const [id, tile] of tiles) {
    if (present.has(id)) continue
    tile.item.remove()
    tiles.delete(id)
    changed = true
  }
  for (const summary of summaries) {
    const tile = tiles.get(summary.id)
    if (tile) tile.update(summary)
    else {
      insert(new Tile(summary, live.clock))
      changed = true
    }
  }
  if (changed) fit()
  refresh()
}

/** @param {Tile} tile */
function insert(tile) {
  const id = tile.summary.id
  const sorted = [...tiles.values()].sort((a, b) => byName.compare(a.summary.id, b.summary.id))
  const after = sorted.find((other) => byName.compare(other.summary.id, id) > 0)
  wall.insertBefore(tile.item, after?.item ?? null)
  tiles.set(id, tile)
}

let announced = ''

function refresh() {
  banner.refresh()
  for (const tile of tiles.values()) tile.refresh(banner.connected)
  byId('empty').hidden = !(heardSources && banner.connected && tiles.size === 0)
  setText(byId('summary'), summaryLine())
  announce()
}

function summaryLine() {
  if (!banner.connected) return tiles.size === 0 ? 'Connecting…' : 'Not connected'
  const stale = [...tiles.values()].filter(({ summary }) => summary.stale)
  if (tiles.size === 0) return 'Waiting for the first source'
  const running = tiles.size - stale.length
  const parts = [`${plural(running, 'source')} live`]
  if (stale.length > 0) parts.push(`${stale.length} stale`)
  return parts.join(', ')
}

/** Says in the live region which sources are stale, once each time that changes. */
function announce() {
  const stale = [...tiles.values()].filter(({ state }) => state === 'stale').map(({ summary }) => summary.id)
  const news = stale.length === 0 ? '' : `Stale: ${stale.sort(byName.compare).join(', ')}`
  if (news === announced) return
  byId('news').textContent = news === '' ? 'All sources are live again' : news
  announced = news
}

/** Sets the columns; where not even the smallest tiles fit, the page scrolls. */
function fit() {
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
  const style = getComputedStyle(wall)
  const gap = Number.parseFloat(style.columnGap) || 0
  const main = getComputedStyle(byId('main'))
  const top = wall.getBoundingClientRect().top + scrollY
  const shapes = [...tiles.values()].map(({ summary }) => summary.width / summary.height).filter(Number.isFinite)
  // One shape for all tiles keeps the rows straight; a picture of another shape has bars at its sides.
  const aspect = median(shapes) ?? 4 / 3
  wall.style.setProperty('--aspect', String(aspect))
  const caption = kiosk ? 0 : 6.25 * rem
  const height = innerHeight - top - Number.parseFloat(main.paddingBottom)
  const best = arrange({ count: tiles.size, width: wall.clientWidth, height, aspect, caption, gap })
  if (kiosk) {
    wall.style.gridTemplateColumns = `repeat(${best.columns}, 1fr)`
    return
  }
  const scrolls = best.width < SMALLEST_TILE_REM * rem || wall.clientWidth < 2 * SMALLEST_TILE_REM * rem
  wall.style.gridTemplateColumns = scrolls ? '' : `repeat(${best.columns}, ${best.width}px)`
}

/** Pictures alone, with the pointer hidden while it rests and the screen kept awake. */
function startKiosk() {
  document.body.classList.add('kiosk')
  let timer = 0
  const rest = () => {
    document.body.classList.remove('idle')
    clearTimeout(timer)
    timer = setTimeout(() => document.body.classList.add('idle'), IDLE_MS)
  }
  addEventListener('pointermove', rest)
  rest()
  addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') location.assign('/')
  })
  const stayAwake = () => navigator.wakeLock?.request('screen').catch(() => {})
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) stayAwake()
  })
  stayAwake()
}

if (kiosk) startKiosk()
new ResizeObserver(fit).observe(document.body)
setInterval(refresh, 1_000)
live.start()
