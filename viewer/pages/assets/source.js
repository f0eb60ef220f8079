// The page of one source: its picture, counts now and over the last minutes, timings and results.

import { getJson, sourceApi } from './api.js'
import { Chart } from './chart.js'
import { localNow } from './clock.js'
import { ConnectionBanner } from './connection.js'
import { Counts, inWords } from './counts.js'
import { byId, dot, element, setText } from './dom.js'
import { clockTime, duration, median, milliseconds, modelName, perSecond, percent } from './format.js'
import { quietAfter, staleWords } from './fresh.js'
import { History } from './history.js'
import { Live } from './live.js'
import { Picture } from './picture.js'
import { fillHistoryTable, fillResults, rowOfHeader, rowOfResult } from './results.js'
import { Waterfall, pathOf } from './waterfall.js'

const MINUTE_MS = 60_000
const HISTORY_MINUTES = 10
const ROWS = 20
const LATENCIES_KEPT = 15
const DESCRIBED_EVERY_MS = 10_000
// A source may need this long for its first frame, so a page for one is not called unknown at once.
const PATIENCE_MS = 3_000

const id = decodeURIComponent(location.pathname.split('/')[2] ?? '')
const banner = new ConnectionBanner()
const counts = new Counts(byId('counts'))
const chart = new Chart(byId('chart'))
const waterfall = new Waterfall(byId('waterfall'))
const history = new History(HISTORY_MINUTES * MINUTE_MS)
const picture = new Picture(byId('picture'), drawn)
/** @type {import('./live.js').Summary | null} */
let summary = null
/** @type {import('./results.js').Row[]} */
let rows = []
/** @type {number[]} */
let latencies_ms = []
let drawn_ms = 0
let described_ms = -Infinity
let minutes = 3
let remembered = false
let stateWas = ''
const opened_ms = localNow()

const live = new Live({ onFrame: received, onSources: showSources, onState: connection }, id)

/** @param {'connecting' | 'open' | 'lost'} state */
function connection(state) {
  banner.update(state)
  // What is missed while the line is down is in the server's memory.
  if (state === 'lost') remembered = false
  refresh()
}

async function remember() {
  remembered = true
  try {
    const [told, { results }] = await Promise.all([
      getJson(sourceApi(id, `/history?minutes=${HISTORY_MINUTES}`)),
      getJson(sourceApi(id, `/results?limit=${ROWS}`)),
    ])
    history.load(told)
    const known = new Set(rows.map((row) => row.id))
    rows = [...rows, ...results.map(rowOfResult).filter((/** @type {{ id: string }} */ row) => !known.has(row.id))].slice(0, ROWS)
    drawChart()
    showRows()
  } catch (error) {
    // The page fills with what comes live all the same; the past is asked for once more after a reconnect.
    console.warn(`no history of ${id}:`, error)
  }
}

/** @param {import('./live.js').LiveFrame} frame */
function received(frame) {
  if (frame.header.source !== id) return
  // After a reconnect the newest frame comes again.
  if (!rows.some((row) => row.id === frame.header.id)) {
    history.add(frame.header)
    rows = [rowOfHeader(frame.header), ...rows].slice(0, ROWS)
  }
  picture.show(frame)
}

/** @param {import('./live.js').Header} header @param {number} at_ms */
function drawn(header, at_ms) {
  drawn_ms = at_ms
  const server_ms = live.clock.now()
  // A source that has stopped sends its last frame again to whoever comes: that tells no timing.
  if (server_ms !== null && !summary?.stale) {
    latencies_ms = [...latencies_ms.slice(1 - LATENCIES_KEPT), server_ms - header.captured_ms]
    waterfall.add(pathOf(header, server_ms))
  }
  showNow(header)
  if (at_ms - described_ms > DESCRIBED_EVERY_MS) {
    byId('picture').setAttribute('aria-label', `${id} at ${clockTime(header.captured_ms)}: ${inWords(header.counts)}`)
    described_ms = at_ms
  }
}

/** @param {import('./live.js').Header | import('./live.js').Summary} header */
function showNow(header) {
  counts.show(header.counts)
  const first = 'classes' in header ? header.classes[0] : undefined
  const nothing = header.counts.every(({ count }) => count === 0)
  byId('nothing').hidden = !nothing
  setText(byId('nothing'), first ? `The picture shows: ${first.label} ${percent(first.score)}` : 'Nothing found.')
  setText(byId('model'), modelName(header.model))
  setText(byId('size'), `${header.width} × ${header.height}`)
  byId('sheet').style.setProperty('--aspect', `${header.width} / ${header.height}`)
  byId('sheet').style.setProperty('--ratio', String(header.width / header.height))
}

/** @param {import('./live.js').Summary[]} summaries */
function showSources(summaries) {
  summary = summaries.find((other) => other.id === id) ?? null
  if (summary && !remembered) remember()
  if (summary && drawn_ms === 0) showNow(summary)
  const unknown = summary === null && localNow() - opened_ms > PATIENCE_MS
  byId('unknown').hidden = !unknown
  byId('sheet').hidden = summary === null
  for (const link of ['snapshot', 'stream']) byId(link).hidden = summary === null
  if (unknown) explainUnknown()
  refresh()
}

async function explainUnknown() {
  setText(byId('unknown-text'), `Nothing has come from “${id}” since this viewer started. It appears here by itself with its first annotated frame.`)
  const { sources } = await getJson('/api/sources').catch(() => ({ sources: [] }))
  const links = sources.map((/** @type {{ id: string }} */ other) =>
    element('li', {}, element('a', { href: `/sources/${encodeURIComponent(other.id)}`, text: other.id })),
  )
  byId('others').replaceChildren(...links)
}

/** How fresh the picture is, in a word for the style and in words for the reader. */
function freshness() {
  if (!banner.connected) return ['lost', 'not connected']
  if (!summary) return ['waiting', 'waiting for the first frame']
  if (summary.stale) return ['stale', staleWords(summary, live.clock.now())]
  if (drawn_ms === 0) return ['waiting', 'waiting for a picture']
  const quiet_ms = localNow() - drawn_ms
  return quiet_ms > quietAfter(summary) ? ['quiet', `no new picture for ${duration(quiet_ms)}`] : ['live', 'live']
}

function refresh() {
  banner.refresh()
  const [state, words] = freshness()
  document.body.dataset.state = state
  setText(byId('state'), words)
  if (state !== stateWas && state !== 'waiting') setText(byId('news'), `${id}: ${words}`)
  if (state === 'stale' && stateWas !== 'stale' && drawn_ms === 0) picture.showLast(sourceApi(id, '/snapshot.jpg'))
  stateWas = state
  setText(byId('fps'), summary ? perSecond(summary.fps) : '–')
  setText(byId('latency'), state === 'live' ? milliseconds(median(latencies_ms)) : '–')
}

function drawChart() {
  const newest_ms = history.points.at(-1)?.t_ms
  const to_ms = live.clock.now() ?? newest_ms
  if (!to_ms) return
  const from_ms = to_ms - minutes * MINUTE_MS
  const step_ms = minutes > 3 ? 4_000 : minutes > 1 ? 2_000 : 1_000
  const points = history.since(from_ms, step_ms)
  const labels = history.labels(points)
  chart.show({ points, labels, colors: history.colors, from_ms, to_ms, step_ms })
  const shown = [...byId('legend').children].map((item) => item.textContent).join()
  if (shown !== labels.join()) {
    const items = labels.map((label) => element('li', {}, dot(history.colors.get(label) ?? '#888888'), element('span', { text: label })))
    byId('legend').replaceChildren(...items)
  }
  if (byId('table-details').open) fillHistoryTable(byId('table'), history.since(from_ms, minutes * 10_000), labels)
}

function showRows() {
  const body = byId('results')
  // A table that moves under the pointer or a selection cannot be read.
  if (body.matches(':hover') || body.contains(getSelection()?.anchorNode ?? null)) return
  fillResults(body, rows)
}

function everySecond() {
  if (document.hidden) return
  refresh()
  waterfall.refresh()
  drawChart()
}

document.title = `${id} · Kadr`
setText(byId('name'), id)
byId('snapshot').href = sourceApi(id, '/snapshot.jpg')
byId('stream').href = sourceApi(id, '/annotated.mjpeg')
byId('span').addEventListener('change', (/** @type {Event} */ event) => {
  minutes = Number(/** @type {HTMLInputElement} */ (event.target).value)
  drawChart()
})
byId('table-details').addEventListener('toggle', drawChart)
setInterval(everySecond, 1_000)
setInterval(showRows, 2_000)
live.start()
