import type { FormatBench } from '../../bench/format-bench.ts'
import type { OpenedImage } from '../../bench/opened-image.ts'
import type { Draft } from '../../draft.ts'
import { check, checkBytes } from '../../failure.ts'
import { checkHealth } from '../health.ts'
import { checkJson } from '../shared/facts.ts'

const GRANULARITY = 65536

/** @internal */
export const bitmapCases: readonly Draft<FormatBench>[] = [
  {
    name: 'bitmaps: stored, listed, loaded after opening again, and removed if they can be',
    needs: ['bitmaps.store', 'writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const bits = bench.random.bytes(Math.ceil(Math.ceil(model.size / GRANULARITY) / 8))
      // Bits past the end of the disk mean nothing.
      const spare = bits.length * 8 - Math.ceil(model.size / GRANULARITY)
      bits[bits.length - 1]! &= 0xff >> spare
      const bitmap = { name: 'dirty', granularity: GRANULARITY, auto: true, bits: (offset: number, bytes: number) => padded(bits, offset, bytes) }

      const storing = await bench.open(image)
      await storing.call('bitmaps.store()', () => storing.instance.bitmaps!.store!([bitmap]))
      await storing.close()

      const loading = await bench.open(image)
      const found = loading.instance.bitmaps!.list()
      checkJson(found, 'bitmaps.list()')
      check(found.length === 1 && found[0]!.name === 'dirty' && found[0]!.granularity === GRANULARITY && !found[0]!.inconsistent, 'bitmaps.list() does not have what was stored')
      checkBytes(await load(loading, 'dirty', bits.length), bits, 'the loaded bits')
      await checkHealth(loading, 'with a stored bitmap', 'none')
      const removable = bench.has('bitmaps.remove')
      if (removable) {
        await loading.call('bitmaps.remove()', () => loading.instance.bitmaps!.remove!('dirty'))
        check(loading.instance.bitmaps!.list().length === 0, 'a removed bitmap is listed')
      }
      await loading.close()

      const last = await bench.open(image)
      check((last.instance.bitmaps!.list().length === 0) === removable, removable ? 'a removed bitmap is back after opening again' : 'the bitmap is lost after opening again')
      await checkHealth(last, 'at the end', 'none')
      await model.checkAll(last, 'after storing and removing a bitmap')
      await last.close()
    },
  },
]

async function load(opened: OpenedImage, name: string, bytes: number): Promise<Uint8Array> {
  const out = new Uint8Array(bytes)
  await opened.call('bitmaps.load()', () => opened.instance.bitmaps!.load(name, (offset, chunk) => {
    const fits = chunk.subarray(0, Math.max(0, bytes - offset))
    check(chunk.subarray(fits.length).every((byte) => byte === 0), 'bitmaps.load gives bits past the end')
    out.set(fits, Math.min(offset, bytes))
  }))
  return out
}

/** Bytes past the end are zeroes. */
function padded(bits: Uint8Array, offset: number, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes)
  out.set(bits.subarray(Math.min(offset, bits.length), Math.min(offset + bytes, bits.length)))
  return out
}
