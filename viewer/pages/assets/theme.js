// Light or dark: follows the system until the button in the header says otherwise, and remembers that.
// A classic script in the head, so that the page never flashes in the wrong colours.
'use strict'
{
  const KEY = 'kadr-theme'
  const system = matchMedia('(prefers-color-scheme: dark)')

  /** @returns {string | null} what was chosen here before; storage may be forbidden */
  const remembered = () => {
    try {
      return localStorage.getItem(KEY)
    } catch {
      return null
    }
  }

  const isDark = () => {
    const chosen = document.documentElement.dataset.theme
    return chosen ? chosen === 'dark' : system.matches
  }

  const chosen = remembered()
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen

  document.addEventListener('DOMContentLoaded', () => {
    const button = document.querySelector('#theme')
    if (!button) return
    const describe = () => {
      const label = isDark() ? 'Switch to light colours' : 'Switch to dark colours'
      button.setAttribute('aria-label', label)
      button.setAttribute('title', label)
    }
    button.addEventListener('click', () => {
      const next = isDark() ? 'light' : 'dark'
      document.documentElement.dataset.theme = next
      try {
        localStorage.setItem(KEY, next)
      } catch {
        // Remembered until the page is left, which is the most that can be had here.
      }
      describe()
    })
    system.addEventListener('change', describe)
    describe()
  })
}
