import { RequestFlag } from '@blockloom/block-driver'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { HostFile } from '../src/host-file.ts'
import { loadLibc, type Libc } from '../src/native/libc.ts'
import { fileExtent } from '../src/space/extents.ts'
import { clock, expectBytes, hasQemu, nativeDriver, onLinux, open, pattern, read, refusal, scratchFile } from './scratch.ts'

const MiB = 1048576

describe.runIf(onLinux)('space of a file', () => {
  test('shows its holes', async () => {
    const path = scratchFile(10 * MiB)
    const image = await open(nativeDriver, path)
    await image.writer!.write(MiB, pattern(MiB), 0)
    expect(await image.extents!(0, 10 * MiB)).toEqual({ kind: 'zero', bytes: MiB, host: { child: null, offset: 0 } })
    expect(await image.extents!(MiB + 512, MiB)).toEqual({ kind: 'data', bytes: MiB - 512, host: { child: null, offset: MiB + 512 } })
    expect(await image.extents!(2 * MiB, 8 * MiB)).toEqual({ kind: 'zero', bytes: 8 * MiB, host: { child: null, offset: 2 * MiB } })
    expect(await image.extents!(MiB, 1)).toEqual({ kind: 'data', bytes: 1, host: { child: null, offset: MiB } })
  })

  test('shows a hole where data was behind another hole', async () => {
    const image = await open(nativeDriver, scratchFile(4 * MiB))
    await image.writer!.write(MiB, pattern(MiB), 0)
    expect(await image.extents!(0, 4 * MiB)).toMatchObject({ kind: 'zero', bytes: MiB })
    await image.discard!(MiB, MiB)
    expect(await image.extents!(MiB, MiB)).toMatchObject({ kind: 'zero', bytes: MiB })
  })

  test('is asked for twice for each hole and the data behind it', async () => {
    const path = scratchFile(10 * MiB)
    const fd = fs.openSync(path, 'r+')
    onTestFinished(() => fs.closeSync(fd))
    for (const at of [2, 4, 6]) fs.writeSync(fd, pattern(MiB), 0, MiB, at * MiB)
    const libc = (await loadLibc())!
    let seeks = 0
    const counted: Libc = {
      ...libc,
      seek: (...args) => {
        seeks++
        return libc.seek(...args)
      },
    }
    const file = new HostFile(path, { fd, readOnly: false, direct: false, size: 10 * MiB, identity: '' }, counted, clock)
    const kinds = []
    for (let at = 0; at < 7 * MiB;) {
      const extent = fileExtent(file, at, 10 * MiB - at)
      kinds.push(extent.kind)
      at += extent.bytes
    }
    expect(kinds).toEqual(['zero', 'data', 'zero', 'data', 'zero', 'data'])
    expect(seeks).toBe(6)
  })

  test('gives space back, and zeroes a range with or without it', async () => {
    const path = scratchFile(pattern(4 * MiB))
    const image = await open(nativeDriver, path)
    const before = await image.allocatedSize!()
    expect(await image.zero!(0, MiB, RequestFlag.MAY_UNMAP)).toBe('done')
    expect(await image.allocatedSize!()).toBe(before - MiB)
    expect(await image.zero!(MiB, MiB, 0)).toBe('done')
    expect(await image.allocatedSize!()).toBe(before - MiB)
    expect(await image.discard!(2 * MiB, MiB)).toBe('done')
    expect(await image.allocatedSize!()).toBe(before - 2 * MiB)
    expectBytes(await read(image, 0, 3 * MiB), new Uint8Array(3 * MiB))
    expectBytes(await read(image, 3 * MiB, MiB), pattern(4 * MiB).subarray(3 * MiB))
  })

  test('zeroes unaligned and past the end: the file grows, but not by a discard', async () => {
    const path = scratchFile(pattern(10000))
    const image = await open(nativeDriver, path)
    await image.zero!(100, 50, RequestFlag.MAY_UNMAP)
    await image.zero!(9000, 3000, RequestFlag.MAY_UNMAP)
    expect(image.size()).toBe(12000)
    await image.zero!(11000, 9000, 0)
    await image.discard!(15000, 100000)
    expect([image.size(), fs.statSync(path).size]).toEqual([20000, 20000])
    const want = new Uint8Array(20000)
    want.set(pattern(10000).subarray(0, 9000))
    want.fill(0, 100, 150)
    expectBytes(fs.readFileSync(path), want)
  })

  test('zeroes many ranges at a time', async () => {
    const image = await open(nativeDriver, scratchFile(pattern(8 * MiB)))
    // More than koffi queues, short and long.
    await Promise.all(Array.from({ length: 600 }, (_, i) => image.zero!(i * 8192, i % 3 ? 4096 : 2 * MiB, RequestFlag.MAY_UNMAP)))
    expectBytes(await read(image, 0, 6 * MiB), new Uint8Array(6 * MiB))
  })

  test('space that the host cannot reserve is refused and changes nothing', async () => {
    const path = scratchFile(pattern(1000))
    const image = await open(nativeDriver, path)
    await expect(image.resize!.resize(2 ** 53 - 65536, { preallocation: 'falloc', zeroFill: true })).rejects.toEqual(refusal('range'))
    expect([image.size(), fs.statSync(path).size]).toEqual([1000, 1000])
  })
})

describe.runIf(onLinux && hasQemu)('space of a file, and QEMU', () => {
  test('holes are where qemu-img map sees them', async () => {
    const path = scratchFile(16 * MiB)
    const image = await open(nativeDriver, path)
    for (const at of [0, 3, 4, 9]) await image.writer!.write(at * MiB + 4096, pattern(300000), 0)
    await image.zero!(4 * MiB + 8192, 65536, RequestFlag.MAY_UNMAP)
    const ours = []
    for (let at = 0; at < 16 * MiB;) {
      const extent = await image.extents!(at, 16 * MiB - at)
      ours.push({ start: at, length: extent.bytes, zero: extent.kind === 'zero', data: extent.kind === 'data' })
      at += extent.bytes
    }
    const map = JSON.parse(spawnSync('qemu-img', ['map', '-f', 'raw', '--output=json', path], { encoding: 'utf8' }).stdout) as typeof ours
    expect(ours).toEqual(map.map(({ start, length, zero, data }) => ({ start, length, zero, data })))
  })
})
