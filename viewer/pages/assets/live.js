// The live socket: frames and summaries in, reconnecting by itself, with the server's clock kept.

import { ServerClock, localNow } from './clock.js'

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 8_000
// The server speaks every two seconds, so this much silence means a dead line.
const SILENCE_MS = 7_000
const PING_SOON_MS = 200
const PING_LATER_MS = 4_000
const SOON_PINGS = 5

/**
 * @typedef {{ label: string, count: number, color: string | null }} Count
 * @typedef {{ name: string, version: number }} Model
 * @typedef {{ id: string, fps: number, last_captured_ms: number | null, last_joined_ms: number | null, latency_ms: number | null,
 *   stale: boolean, stale_since_ms: number | null, model: Model | null, counts: Count[], width: number, height: number }} Summary
 * @typedef {{ source: string, id: string, captured_ms: number, joined_ms: number, sequence: number | null, width: number, height: number,
 *   late?: boolean, model: Model, counts: Count[], classes: { label: string, score: number }[], timings_ms: Record<string, number> }} Header
 * @typedef {{ header: Header, jpeg: Blob }} LiveFrame
 * @typedef {{ onFrame(frame: LiveFrame): void, onSources(sources: Summary[]): void, onState(state: 'connecting' | 'open' | 'lost'): void }} Listener
 */

/**
 * Takes a binary message apart: length of the header, header, JPEG.
 *
 * @param {ArrayBuffer} message
 * @returns {LiveFrame}
 */
export function readFrame(message) {
  const length = new DataView(message).getUint32(0)
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length)))
  return { header, jpeg: new Blob([new Uint8Array(message, 4 + length)], { type: 'image/jpeg' }) }
}

export class Live {
  clock = new ServerClock()
  /** @type {WebSocket | null} */
  #socket = null
  #listener
  #source
  #attempts = 0
  #heard_ms = 0
  #pings = 0
  /** @type {number | null} when the page was seen again, until the server has heard of it */
  #resumed_ms = null
  #pingTimer = 0
  #retryTimer = 0

  /**
   * @param {Listener} listener
   * @param {string | null} [source] the only source wanted; null for all
   */
  constructor(listener, source = null) {
    this.#listener = listener
    this.#source = source
  }

  start() {
    this.#listener.onState('connecting')
    this.#connect()
    addEventListener('online', () => this.#hurry())
    document.addEventListener('visibilitychange', () => {
      this.#subscribe()
      if (!document.hidden) this.#hurry()
    })
    setInterval(() => this.#watch(), 1_000)
  }

  #connect() {
    const url = new URL('/api/live', location.href)
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:'
    if (this.#source !== null) url.searchParams.append('source', this.#source)
    const socket = new WebSocket(url)
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    this.#heard_ms = localNow()
    socket.onopen = () => this.#opened(socket)
    socket.onmessage = ({ data }) => this.#heard(data)
    socket.onclose = () => this.#lost(socket)
  }

  /** @param {WebSocket} socket */
  #opened(socket) {
    if (socket !== this.#socket) return
    this.clock.reset()
    this.#resumed_ms = null
    this.#pings = 0
    this.#ping()
    if (document.hidden) this.#subscribe()
    this.#listener.onState('open')
  }

  /** @param {ArrayBuffer | string} data */
  #heard(data) {
    const received_ms = localNow()
    this.#heard_ms = received_ms
    // Only now is the server known to be well: a proxy may open a socket for one that is down.
    this.#attempts = 0
    if (data instanceof ArrayBuffer) {
      if (!document.hidden) this.#listener.onFrame(readFrame(data))
      return
    }
    const message = JSON.parse(data)
    if (message.type === 'pong') this.#ponged(message, received_ms)
    // A list tells of the sources subscribed to: one sent while the page asked for none says nothing.
    if (message.type === 'sources' && !document.hidden && this.#resumed_ms === null) {
      this.#listener.onSources(message.sources)
    }
  }

  /** @param {{ t: number, server_ms: number }} pong @param {number} received_ms */
  #ponged({ t, server_ms }, received_ms) {
    this.clock.add(t, received_ms, server_ms)
    if (this.#resumed_ms !== null && t >= this.#resumed_ms) this.#resumed_ms = null
  }

  /** @param {WebSocket} socket */
  #lost(socket) {
    if (socket !== this.#socket) return
    this.#socket = null
    clearTimeout(this.#pingTimer)
    this.#listener.onState('lost')
    const longest_ms = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#attempts)
    this.#attempts += 1
    // Spread out, so that a restarted server does not meet every screen of a hall at once.
    this.#retryTimer = setTimeout(() => this.#connect(), longest_ms * (0.5 + Math.random() / 2))
  }

  /** Tries at once where a wait was under way: the network is back, or somebody looks. */
  #hurry() {
    if (this.#socket) return
    clearTimeout(this.#retryTimer)
    this.#connect()
  }

  #watch() {
    const socket = this.#socket
    if (!socket || localNow() - this.#heard_ms < SILENCE_MS) return
    // Closing a dead line can itself take long, so the loss is taken as given.
    socket.close()
    this.#lost(socket)
  }

  #ping() {
    this.#send({ type: 'ping', t: localNow() })
    this.#pings += 1
    const wait_ms = this.#pings < SOON_PINGS ? PING_SOON_MS : PING_LATER_MS
    this.#pingTimer = setTimeout(() => this.#ping(), wait_ms)
  }

  /** A page that nobody sees asks for no pictures. */
  #subscribe() {
    const wanted = this.#source === null ? null : [this.#source]
    this.#send({ type: 'subscribe', sources: document.hidden ? [] : wanted })
    if (document.hidden) return
    // What comes before the answer to this was meant for the page while it was hidden.
    this.#resumed_ms = localNow()
    this.#send({ type: 'ping', t: this.#resumed_ms })
  }

  /** @param {object} message */
  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message))
  }
}
