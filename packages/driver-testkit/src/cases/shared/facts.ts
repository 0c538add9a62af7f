import type { Bench } from '../../bench/bench.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'
import { checkReopened } from '../health.ts'

/** @internal */
export const factCases: readonly Draft<Bench>[] = [
  {
    name: 'info: survives JSON, in every mode',
    needs: ['info'],
    run: async (bench) => {
      const { image } = await bench.filled()
      for (const readOnly of bench.has('writer') ? [true, false] : [true]) {
        const opened = await bench.open(image, { readOnly })
        checkJson(await opened.call('info()', () => opened.instance.info!()), 'info()')
        await opened.close()
      }
    },
  },
  {
    name: 'allocatedSize: a byte count, and no less after writing',
    needs: ['allocatedSize'],
    run: async (bench) => {
      const image = await bench.create()
      const opened = await bench.open(image)
      const before = await opened.call('allocatedSize()', () => opened.instance.allocatedSize!())
      check(Number.isSafeInteger(before) && before >= 0, `allocatedSize() is ${before}`)
      if (opened.instance.writer) {
        await opened.write(0, bench.random.bytes(await bench.cluster()))
        await opened.flush('stable')
        const after = await opened.call('allocatedSize()', () => opened.instance.allocatedSize!())
        check(after >= before, `allocatedSize() was ${before} and is ${after} after a write`)
      }
      await opened.close()
    },
  },
  {
    name: 'zeroInit: a new image that promises zeroes reads as zeroes',
    needs: ['creation'],
    run: async (bench) => {
      const image = await bench.create()
      const opened = await bench.open(image)
      if (opened.instance.zeroInit) await image.model().checkAll(opened, 'a new image with zeroInit')
      await opened.close()
    },
  },
  {
    name: 'reopen: a prepared change can be aborted and committed',
    needs: ['reopen'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      for (const end of ['abort', 'commit', 'commit'] as const) {
        const change = await opened.call('reopen()', () => opened.instance.reopen!(image.session().options))
        await opened.call(`reopen: ${end}()`, async () => change[end]())
        if (bench.persistent || end === 'abort') await model.checkAll(opened, `after a reopen and ${end}`)
        if (opened.instance.writer) {
          const data = bench.random.bytes(opened.limits.requestAlignment)
          await opened.write(0, data)
          model.write(0, data)
        }
      }
      await opened.close()
      await checkReopened(bench, image, model, 'after opening again')
    },
  },
  {
    name: 'aioContext: moves to another event loop and works there',
    needs: ['aioContext'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const session = image.session(bench.mode())
      const opened = await bench.open(image, {}, session)
      const facet = opened.instance.aioContext!
      facet.detach()
      facet.attach(session.clock)
      await model.checkAll(opened, 'after moving')
      await opened.close()
    },
  },
  {
    name: 'invalidate: another process has changed the image',
    needs: ['invalidate', 'writer'],
    run: async (bench) => {
      if (!bench.persistent) return
      const { image, model } = await bench.filled()
      const reader = await bench.open(image, { readOnly: true })
      await model.checkAll(reader, 'before the change')
      const writer = await bench.open(image)
      const data = bench.random.bytes(model.size - (model.size % writer.limits.requestAlignment))
      await writer.write(0, data)
      model.write(0, data)
      await writer.close()
      await reader.call('invalidate()', () => reader.instance.invalidate!())
      await model.checkAll(reader, 'after invalidate')
      await reader.close()
    },
  },
]

/** @internal */
export function checkJson(value: unknown, what: string): void {
  check(JSON.stringify(plain(value, what)) === JSON.stringify(value), `${what} changes when it goes through JSON`)
}

function plain(value: unknown, what: string): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') {
    check(Number.isFinite(value), `${what} contains ${value}`)
    return value
  }
  if (Array.isArray(value)) return value.map((item, i) => plain(item, `${what}[${i}]`))
  check(typeof value === 'object' && (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null),
    `${what} is a ${typeof value}, which JSON does not keep`)
  return Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, plain(item, `${what}.${key}`)]))
}
