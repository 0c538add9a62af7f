import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createRealContext } from '../src/index.ts'
import { listeners, settle } from './interleaving.ts'

afterEach(() => vi.unstubAllGlobals())

describe('createRealContext', () => {
  it('sleeps at least as long as asked, on a clock that does not go back', async () => {
    const context = createRealContext()
    expect(context.name).toBe('main')
    const start = context.now()
    await context.sleep(12)
    expect(context.now() - start).toBeGreaterThanOrEqual(12)
    const instant = context.now()
    await context.sleep(0)
    expect(context.now()).toBeGreaterThanOrEqual(instant)
  })

  it('a sleep is cut short by its signal and leaves nothing behind', async () => {
    const context = createRealContext()
    const controller = new AbortController()
    const sleep = context.sleep(1_000_000, controller.signal)
    expect(listeners(controller.signal)).toBe(1)
    const reason = new Error('wake up')
    controller.abort(reason)
    await expect(sleep).rejects.toBe(reason)
    await expect(context.sleep(5, controller.signal)).rejects.toBe(reason)
    const other = new AbortController()
    await context.sleep(1, other.signal)
    expect(listeners(other.signal)).toBe(0)
  })

  it('an endless chain of bottom halves or yields does not starve I/O', async () => {
    const context = createRealContext()
    let running = true
    const half = context.bottomHalf(() => {
      if (running) half.schedule()
    })
    half.schedule()
    const spinner = context.spawn('spinner', async () => {
      while (running) await context.yield()
    })
    await new Promise<void>((resolve, reject) =>
      readFile(fileURLToPath(import.meta.url), (error) => (error === null ? resolve() : reject(error))),
    )
    running = false
    await spinner
  })

  it('tracks tasks by name until they end, and starts them outside of spawn', async () => {
    const context = createRealContext({ name: 'io' })
    let started = false
    const failing = context.spawn('failing', () => {
      started = true
      throw new Error('task failed')
    })
    const fine = context.spawn('fine', async () => 5)
    expect(started).toBe(false)
    expect(context.tasks).toEqual(['failing', 'fine'])
    await expect(failing).rejects.toThrow('task failed')
    expect(await fine).toBe(5)
    await settle()
    expect(context.tasks).toEqual([])
  })

  it('passes the outcome of external waits on', async () => {
    const context = createRealContext()
    expect(await context.external(Promise.resolve(3))).toBe(3)
    await expect(context.external(Promise.reject(new Error('outside')))).rejects.toThrow('outside')
  })

  it('works in hosts without setImmediate, and without MessageChannel', async () => {
    vi.stubGlobal('setImmediate', undefined)
    const browser = createRealContext()
    vi.stubGlobal('MessageChannel', undefined)
    const bare = createRealContext()
    for (const context of [browser, bare]) {
      const log: string[] = []
      context.schedule(() => log.push('bottom half'))
      await context.yield()
      expect(log).toEqual(['bottom half'])
      await context.sleep(2)
    }
  })

  it('lets Node exit while timers and contexts merely exist, and waits for armed ones', () => {
    const index = new URL('../src/index.ts', import.meta.url).href
    const script = `
      const { createRealContext, CoMutex } = await import(${JSON.stringify(index)})
      const context = createRealContext()
      const never = context.timer(() => console.log('never'))
      never.armIn(1e9)
      never.cancel()
      context.bottomHalf(() => console.log('never'))
      const mutex = new CoMutex({ context })
      void mutex.acquire()
      context.timer(() => console.log('fired')).armIn(500)
      void context.sleep(1e9, undefined, { background: true })
      void context.sleep(10, undefined, { background: true }).then(() => console.log('in the background'))
    `
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { timeout: 20_000, encoding: 'utf8' })
    expect(output).toBe('in the background\nfired\n')
  })

  it('what a bottom half throws is an uncaught exception', () => {
    const index = new URL('../src/index.ts', import.meta.url).href
    const script = `
      const { createRealContext } = await import(${JSON.stringify(index)})
      process.on('uncaughtException', (error) => console.log('uncaught', error.message))
      const context = createRealContext()
      context.schedule(() => { throw new Error('oops') })
      context.timer(() => { throw new Error('late oops') }).armIn(1)
    `
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { timeout: 20_000, encoding: 'utf8' })
    expect(output).toBe('uncaught oops\nuncaught late oops\n')
  })
})
