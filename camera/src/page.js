// The cameras of one service: a picture, and a line on how it stands.

const wall = document.querySelector('#wall')
const raw = document.querySelector('#raw')

function addressOf(id) {
  const picture = raw.checked ? 'live.mjpeg' : 'annotated.mjpeg'
  return `/cameras/${encodeURIComponent(id)}/${picture}`
}

function tile(id) {
  const figure = document.createElement('figure')
  const picture = Object.assign(new Image(), { alt: `Camera ${id}`, src: addressOf(id) })
  const caption = document.createElement('figcaption')
  const name = Object.assign(document.createElement('strong'), { textContent: id })
  const state = Object.assign(document.createElement('span'), { textContent: 'waiting' })
  caption.append(name, state)
  figure.append(picture, caption)
  return { id, figure, picture, state }
}

function summary(status) {
  if (status.state === 'stale') {
    return `stale since ${new Date(status.stale_since).toLocaleTimeString()}`
  }
  if (status.state !== 'live') return status.reason
  const counts = status.result?.counts.map(({ label, count }) => `${count} ${label}`) ?? []
  const latency = status.latency_ms ? [`${Math.round(status.latency_ms.p50)} ms`] : []
  return [`${status.fps.annotated} fps`, ...latency, ...counts].join(' · ')
}

async function refresh({ id, state }) {
  const answer = await fetch(`/cameras/${encodeURIComponent(id)}/status`).catch(() => null)
  const status = answer?.ok ? await answer.json() : null
  state.textContent = status ? summary(status) : 'not connected'
  state.className = status?.state === 'live' ? '' : 'bad'
}

const { cameras } = await (await fetch('/cameras')).json()
const tiles = cameras.map(tile)
wall.append(...tiles.map(({ figure }) => figure))
raw.addEventListener('change', () => {
  for (const { id, picture } of tiles) picture.src = addressOf(id)
})
setInterval(() => tiles.forEach(refresh), 1000)
