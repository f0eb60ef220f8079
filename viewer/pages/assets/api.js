// JSON from the server; what it refuses becomes an error that bears its message and its hint.

export class Problem extends Error {
  /**
   * @param {number} status the HTTP status, 0 where no answer came
   * @param {string} code
   * @param {string} message
   * @param {string} hint what to do next
   */
  constructor(status, code, message, hint) {
    super(message)
    this.status = status
    this.code = code
    this.hint = hint
  }

  /**
   * From the body of an answer, whatever it holds: a proxy's error page is no JSON.
   *
   * @param {number} status
   * @param {string} body
   */
  static read(status, body) {
    try {
      const { code, message, hint } = JSON.parse(body).error
      if (typeof message === 'string') return new Problem(status, String(code ?? ''), message, String(hint ?? ''))
    } catch {
      // Not from us: said below.
    }
    return new Problem(status, 'unexpected', `The server answered with status ${status}.`, 'Try again; if it goes on, look at its log.')
  }

  static unreachable() {
    return new Problem(0, 'unreachable', 'The server did not answer.', 'Check the connection and that kadr still runs, then try again.')
  }
}

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function getJson(path) {
  let answer
  try {
    answer = await fetch(path, { headers: { accept: 'application/json' } })
  } catch {
    throw Problem.unreachable()
  }
  const body = await answer.text().catch(() => '')
  if (!answer.ok) throw Problem.read(answer.status, body)
  return JSON.parse(body)
}

/** @param {string} id @param {string} [rest] */
export const sourceApi = (id, rest = '') => `/api/sources/${encodeURIComponent(id)}${rest}`
