// The upload page, and the page of one result by its link: `/upload` and `/frames/{id}`.

import { Problem, getJson } from './api.js'
import { byId, element, setText } from './dom.js'
import { plural } from './format.js'
import { QueueEntry, problemNote } from './queue.js'
import { showResult } from './result.js'
import { settled } from './send.js'

/** @type {QueueEntry[]} */
const entries = []
/** @type {Promise<any>} */
const models = getJson('/api/models')
let shownByChoice = false

async function fillModels() {
  const select = byId('model')
  try {
    const told = await models
    const options = told.models.flatMap((/** @type {any} */ model) => {
      const newest = Math.max(...model.versions)
      return model.versions.map((/** @type {number} */ version) => {
        const isNewest = version === newest
        const value = isNewest ? model.name : `${model.name}@${version}`
        const about = `${model.name}${isNewest ? '' : ` v${version}`} (${model.task.replaceAll('-', ' ')})`
        return element('option', { value, text: about, selected: isNewest && model.name === told.default })
      })
    })
    if (options.length > 0) select.replaceChildren(...options)
  } catch (error) {
    byId('send-problem').replaceChildren(problemNote(/** @type {Problem} */ (error)))
  }
}

/** @param {Iterable<File>} files */
function add(files) {
  const model = byId('model').value
  const added = [...files].map((file) => new QueueEntry(file, model, { onDone, onOpen }))
  entries.push(...added)
  byId('queue').prepend(...added.map(({ item }) => item))
}

/** @param {QueueEntry} entry */
function onDone(entry) {
  const open = entries.filter(({ item }) => item.dataset.state === 'sending').length
  if (open === 0) {
    const failed = entries.filter(({ item }) => item.dataset.state === 'failed').length
    const words = `${plural(entries.length - failed, 'photo')} done`
    byId('news').textContent = failed > 0 ? `${words}, ${failed} not done` : words
  }
  // The first result shows itself; after that the choice is the visitor's.
  if (!shownByChoice && entry.item.dataset.state === 'done' && byId('result').hidden) show(entry)
}

/** @param {QueueEntry} entry */
async function onOpen(entry) {
  shownByChoice = true
  await show(entry)
  byId('result').focus()
}

/** @param {QueueEntry} entry */
async function show(entry) {
  for (const other of entries) other.mark(other === entry)
  // A reload then shows this result again rather than an empty page.
  window.history.replaceState(null, '', entry.frame.links.page)
  await showFrame(entry.frame, entry.name)
}

/** @param {any} frame @param {string} title */
async function showFrame(frame, title) {
  const told = await models.catch(() => null)
  const labels = told?.models.find((/** @type {any} */ model) => model.name === frame.result.model.name)?.labels ?? []
  const place = byId('result')
  document.title = `${title} · Kadr`
  showResult(place, frame, { title, labels })
  place.hidden = false
  byId('desk').classList.add('with-result')
}

/** Shows the result that the address names. @param {string} id */
async function openLink(id) {
  const place = byId('result')
  place.hidden = false
  byId('desk').classList.add('with-result')
  setText(byId('title'), 'Result')
  document.title = 'Result · Kadr'
  place.replaceChildren(element('h2', { id: 'result-title', text: 'Looking it up…' }))
  try {
    let frame = await getJson(`/api/frames/${encodeURIComponent(id)}`)
    if (frame.status === 'queued') {
      setText(byId('result-title'), 'Waiting for the model')
      place.append(element('p', { class: 'muted', text: 'The photo is safe with the server. This page shows the result as soon as there is one.' }))
      frame = await settled(frame)
    }
    if (frame.status === 'failed') throw frame.error
    await showFrame(frame, `Frame ${id}`)
  } catch (error) {
    place.replaceChildren(element('h2', { id: 'result-title', text: 'No result to show' }), problemNote(/** @type {Problem} */ (error)))
  }
}

function acceptFiles() {
  const drop = byId('drop')
  const files = byId('files')
  files.addEventListener('change', () => {
    add(files.files)
    // So that the same file can be chosen again.
    files.value = ''
  })
  drop.addEventListener('submit', (/** @type {Event} */ event) => event.preventDefault())
  addEventListener('dragover', (event) => {
    event.preventDefault()
    drop.classList.add('over')
  })
  addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) drop.classList.remove('over')
  })
  addEventListener('drop', (event) => {
    event.preventDefault()
    drop.classList.remove('over')
    add(event.dataTransfer?.files ?? [])
  })
  addEventListener('paste', (event) => add(event.clipboardData?.files ?? []))
}

/** The same without a browser, with this server's own address. */
function showScript() {
  const address = `${location.origin}/api/frames?wait=10s`
  setText(byId('script'), `curl --data-binary @photo.jpg -H 'content-type: image/jpeg' '${address}'`)
}

acceptFiles()
showScript()
fillModels()
const [, page, id] = location.pathname.split('/')
if (page === 'frames' && id) openLink(decodeURIComponent(id))
