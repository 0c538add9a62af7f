import type { Extent } from '@blockloom/block-driver'
import type { Bench } from '../../bench/bench.ts'
import type { OpenedImage } from '../../bench/opened-image.ts'
import type { Draft } from '../../draft.ts'
import { check, checkBytes, checkZero } from '../../failure.ts'
import type { ByteModel } from '../../model/byte-model.ts'
import { alignDown, inside, randomRange } from '../../model/ranges.ts'

/** @internal */
export const extentCases: readonly Draft<Bench>[] = [
  {
    name: 'extents: cover the image in runs that agree with what is read',
    needs: ['extents'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      if (opened.instance.zero) {
        const range = inside({ offset: await bench.cluster(), bytes: await bench.cluster() }, model.size, opened.limits.zeroAlignment, opened.limits.maxZero)
        if (range && (await opened.zero(range.offset, range.bytes)) === 'done') model.zero(range.offset, range.bytes)
      }
      await checkExtents(bench, opened, model)
      await opened.close()
    },
  },
  {
    name: 'extents: never more than asked, wherever one asks',
    needs: ['extents'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image, { readOnly: true })
      const cluster = await bench.cluster()
      for (let i = 0; i < 60; i++) {
        const { offset, bytes } = randomRange(bench.random, model.size, cluster, opened.limits.requestAlignment)
        const extent = await opened.extent(offset, bytes)
        await checkAgainstBytes(opened, extent, offset)
      }
      await opened.close()
    },
  },
]

/** Walks the whole image with questions of different lengths. @internal */
export async function checkExtents(bench: Bench, opened: OpenedImage, model: ByteModel): Promise<void> {
  if (opened.instance.writer) await opened.flush('host')
  const unit = opened.limits.requestAlignment
  for (let offset = 0; offset < model.size; ) {
    const most = model.size - offset
    const asked = bench.random.oneIn(2) ? most : Math.min(most, Math.max(unit, alignDown(bench.random.int(200_000), unit)))
    const extent = await opened.extent(offset, asked)
    check(extent.bytes % unit === 0 || offset + extent.bytes === model.size, `extents(${offset}, ${asked}) ends at ${offset + extent.bytes}, not aligned to ${unit}`)
    await checkAgainstBytes(opened, extent, offset)
    offset += extent.bytes
  }
}

/** Compares what an extent claims with what is read. */
async function checkAgainstBytes(opened: OpenedImage, extent: Extent, offset: number): Promise<void> {
  const what = `${extent.kind} extent at ${offset}`
  const bytes = await opened.read(offset, extent.bytes)
  if (extent.kind === 'zero') checkZero(bytes, what, offset)
  else if (extent.kind === 'absent') checkBytes(bytes, await opened.below(offset, extent.bytes), what, offset)
  else if (extent.kind === 'data' && extent.host?.child) {
    check(opened.owns(extent.host.child), `${what} names a host child that the driver was not given`)
    const host = new Uint8Array(extent.bytes)
    await extent.host.child.read(extent.host.offset, host)
    checkBytes(host, bytes, `${what}: the child at host offset ${extent.host.offset}`, offset)
  }
}
