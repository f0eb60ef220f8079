// A result in view: the photo with its instances drawn over it here, and everything to look at them with.

import { cocoFile } from './coco.js'
import { dot, element, setText } from './dom.js'
import { Overlay } from './draw.js'
import { dateTime, milliseconds, modelName, percent, plural } from './format.js'
import { colorOf } from './palette.js'
import { countInstances } from './results.js'

/**
 * Fills a section with a result.
 *
 * @param {HTMLElement} place
 * @param {any} frame what `/api/frames/{id}` says, done
 * @param {{ title: string, labels: { name: string, color: string }[] }} about
 */
export function showResult(place, frame, { title, labels }) {
  const { result } = frame
  const heading = element('h2', { id: 'result-title', text: title })
  const facts = [modelName(result.model), `${result.width} × ${result.height}`, dateTime(Date.parse(frame.submitted_at))]
  if (result.timings_ms?.total) facts.push(`${milliseconds(result.timings_ms.total)} in the detector`)
  const head = element('div', { class: 'head' }, heading, element('p', { class: 'muted figures', text: facts.join(' · ') }))
  const isClassifier = result.instances.length === 0 && result.classes.length > 0
  const picture = element('img', { src: frame.links.original, width: result.width, height: result.height, alt: `${title}, as it was sent` })
  const view = element('div', { class: 'canvas' }, picture)
  view.style.setProperty('--aspect', `${result.width} / ${result.height}`)
  const side = isClassifier ? classBars(result.classes, labels) : instanceTools(view, result)
  const stage = element('div', { class: 'stage' }, element('div', { class: 'view' }, view, actions(frame, title, labels)), side)
  stage.style.setProperty('--ratio', String(result.width / result.height))
  place.replaceChildren(head, stage)
}

/** @param {any} frame @param {string} title @param {{ name: string }[]} labels */
function actions(frame, title, labels) {
  const base = title.replace(/\.[^.]+$/, '') || frame.id
  const copied = element('span', { class: 'muted', role: 'status' })
  const copy = element('button', { class: 'button small', type: 'button', text: 'Copy link' })
  copy.addEventListener('click', async () => {
    const done = await navigator.clipboard?.writeText(new URL(frame.links.page, location.href).href).then(
      () => true,
      () => false,
    )
    setText(copied, done ? 'Copied' : 'Copy it from the address bar')
  })
  const links = [
    element('a', { class: 'button small', href: frame.links.annotated, download: `${base}-annotated.jpg`, text: 'Annotated JPEG' }),
    cocoLink(frame, base, labels),
    element('a', { class: 'button small', href: frame.links.page, text: 'Permalink' }),
    copy,
    copied,
  ]
  return element('div', { class: 'actions' }, ...links.filter(Boolean))
}

/** @param {any} frame @param {string} base @param {{ name: string }[]} labels */
function cocoLink(frame, base, labels) {
  if (frame.result.instances.length === 0) return ''
  const link = element('button', { class: 'button small', type: 'button', text: 'COCO JSON' })
  link.addEventListener('click', () => {
    const text = JSON.stringify(cocoFile(frame, `${base}.jpg`, labels), null, 1)
    const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }))
    element('a', { href: url, download: `${base}-coco.json` }).click()
    // The browser reads the address when it starts the download, a moment after the click.
    setTimeout(() => URL.revokeObjectURL(url), 10_000)
  })
  return link
}

/**
 * A classifier's answers as bars.
 *
 * @param {{ label: string, score: number }[]} classes
 * @param {{ name: string, color: string }[]} labels
 */
function classBars(classes, labels) {
  const rows = classes.map(({ label, score }) => {
    const color = colorOf(label, labels.find(({ name }) => name === label)?.color)
    const fill = element('span', { class: 'bar-fill' })
    fill.style.width = `${score * 100}%`
    fill.style.setProperty('--dot', color)
    const shown = score >= 0.1 || score === 0 ? percent(score) : `${(score * 100).toFixed(1)}%`
    return element('li', {}, element('span', { text: label }), element('span', { class: 'track', 'aria-hidden': 'true' }, fill), element('b', { text: shown }))
  })
  return element('div', { class: 'card tools' }, element('h3', { text: 'What the picture shows' }), element('ol', { class: 'bars figures' }, ...rows))
}

/**
 * The overlay with its switches, sliders and the list of instances.
 *
 * @param {HTMLElement} view
 * @param {any} result
 */
function instanceTools(view, result) {
  const canvas = element('canvas', { id: 'overlay', role: 'img' })
  view.append(canvas)
  const overlay = new Overlay(canvas, result)
  /** @type {Set<string>} */
  const hidden = new Set()
  const state = { threshold: 0, opacity: 0.5, outlines: true, labels: true, marked: /** @type {number | null} */ (null) }
  const visible = (/** @type {number} */ index) => {
    const { label, score } = result.instances[index]
    return !hidden.has(label) && score >= state.threshold
  }

  const list = instanceList(result.instances, (index) => mark(index))
  const classes = classToggles(result.instances, (label, on) => {
    if (on) hidden.delete(label)
    else hidden.add(label)
    draw()
  })
  const shown = element('p', { class: 'muted figures', id: 'shown', role: 'status' })

  let due = 0
  function draw() {
    // Sliders tell more often than the screen draws.
    cancelAnimationFrame(due)
    due = requestAnimationFrame(() => {
      overlay.draw({ ...state, visible })
      const count = list.show(visible, state.marked)
      classes.show(visible)
      setText(shown, `${count} of ${plural(result.instances.length, 'instance')} shown`)
      canvas.setAttribute('aria-label', `Instances drawn over the picture: ${count} shown`)
    })
  }
  function mark(/** @type {number | null} */ index) {
    if (state.marked === index) return
    state.marked = index
    draw()
  }

  view.addEventListener('pointermove', (event) => {
    const box = canvas.getBoundingClientRect()
    const x = ((event.clientX - box.left) / box.width) * result.width
    const y = ((event.clientY - box.top) / box.height) * result.height
    mark(overlay.at(x, y, visible))
  })
  view.addEventListener('pointerleave', () => mark(null))

  const threshold = slider('threshold', 'Score at least', state.threshold, (value) => {
    state.threshold = value
    draw()
  })
  const opacity = slider('opacity', 'Mask opacity', state.opacity, (value) => {
    state.opacity = value
    draw()
  })
  const outlines = checkbox('outlines', 'Outlines', (on) => {
    state.outlines = on
    draw()
  })
  const labels = checkbox('labels', 'Labels', (on) => {
    state.labels = on
    draw()
  })
  // Labels keep their size on the screen, whatever room the picture has.
  new ResizeObserver(draw).observe(canvas)
  const look = element('div', { class: 'look' }, threshold, opacity, element('div', { class: 'checks' }, outlines, labels))
  const nothing = element('p', { class: 'muted', text: 'The model found nothing in this picture.' })
  const parts = result.instances.length === 0 ? [nothing] : [classes.group, look, shown, list.list]
  return element('div', { class: 'card tools' }, element('h3', { text: 'Instances' }), ...parts)
}

/**
 * A switch per class, with the number of its instances that are in view.
 *
 * @param {any[]} instances
 * @param {(label: string, on: boolean) => void} onChange
 */
function classToggles(instances, onChange) {
  const rows = countInstances(instances).map(({ label, count, color }) => {
    const box = element('input', { type: 'checkbox', checked: true, 'data-class': label })
    box.addEventListener('change', () => onChange(label, box.checked))
    const number = element('b', { text: count })
    return { label, count, number, item: element('label', { class: 'toggle' }, box, dot(colorOf(label, color)), element('span', { text: label }), number) }
  })
  const legend = element('legend', { class: 'unseen', text: 'Classes shown' })
  const group = element('fieldset', { class: 'toggles figures' }, legend, ...rows.map(({ item }) => item))
  const show = (/** @type {(index: number) => boolean} */ visible) => {
    for (const { label, count, number } of rows) {
      const inView = instances.filter((instance, index) => instance.label === label && visible(index)).length
      setText(number, inView === count ? String(count) : `${inView}/${count}`)
    }
  }
  return { group, show }
}

/**
 * The instances, the most certain first; pointing at one marks it in the picture.
 *
 * @param {any[]} instances
 * @param {(index: number | null) => void} onMark
 */
function instanceList(instances, onMark) {
  const items = instances.map(({ label, score, area, class_color }, index) => {
    const button = element(
      'button',
      { type: 'button', class: 'instance', 'aria-label': `${label}, ${percent(score)}, ${area} pixels` },
      dot(colorOf(label, class_color)),
      element('span', { text: label }),
      element('span', { class: 'muted', text: `${area} px` }),
      element('b', { text: percent(score) }),
    )
    for (const event of ['pointerenter', 'focus', 'click']) button.addEventListener(event, () => onMark(index))
    for (const event of ['pointerleave', 'blur']) button.addEventListener(event, () => onMark(null))
    return element('li', {}, button)
  })
  const list = element('ol', { class: 'instances figures', 'aria-label': 'Instances' }, ...items)
  const show = (/** @type {(index: number) => boolean} */ visible, /** @type {number | null} */ marked) => {
    items.forEach((item, index) => {
      item.hidden = !visible(index)
      item.classList.toggle('marked', index === marked)
    })
    return items.filter((item) => !item.hidden).length
  }
  return { list, show }
}

/** @param {string} id @param {string} text @param {number} value @param {(value: number) => void} onInput */
function slider(id, text, value, onInput) {
  const output = element('output', { for: id, text: percent(value) })
  const input = element('input', { id, type: 'range', min: 0, max: 1, step: 0.01, value })
  input.addEventListener('input', () => {
    setText(output, percent(Number(input.value)))
    onInput(Number(input.value))
  })
  return element('div', { class: 'slider figures' }, element('label', { for: id, text }), input, output)
}

/** @param {string} id @param {string} text @param {(on: boolean) => void} onChange */
function checkbox(id, text, onChange) {
  const input = element('input', { id, type: 'checkbox', checked: true })
  input.addEventListener('change', () => onChange(input.checked))
  return element('label', { class: 'check' }, input, text)
}
