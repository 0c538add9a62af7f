import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { create, expectBytes, nativeDriver, onLinux, open, pattern, plainDriver, read, refusal, scratch, scratchFile } from './scratch.ts'

const MiB = 1048576

describe.each([['native', nativeDriver], ['without koffi', plainDriver]] as const)('a file, %s', (_mode, driver) => {
  test('is read, at once or by threads, whatever the length', async () => {
    const content = pattern(3 * MiB + 77)
    const image = await open(driver, scratchFile(content))
    for (const [offset, bytes] of [[0, 1], [511, 4098], [MiB - 3, 131072], [1, 131073], [0, content.length]] as const) {
      expectBytes(await read(image, offset, bytes), content.subarray(offset, offset + bytes), `${bytes} at ${offset}`)
    }
    expect(await read(image, 5, 0)).toEqual(new Uint8Array(0))
  })

  test('reads as zeroes past its end', async () => {
    const image = await open(driver, scratchFile(pattern(1000)))
    for (const bytes of [2000, 300000]) {
      expectBytes(await read(image, 500, bytes), Uint8Array.from([...pattern(1000).subarray(500), ...new Uint8Array(bytes - 500)]))
    }
    expectBytes(await read(image, 5000, 4096), new Uint8Array(4096))
  })

  test.runIf(onLinux)('reads what the page cache does not have', async () => {
    const content = pattern(2 * MiB)
    const path = scratchFile(content)
    spawnSync('dd', [`of=${path}`, 'if=/dev/null', 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'])
    const image = await open(driver, path)
    // Many at a time: some come from the cache after a turn, some by threads.
    const places = Array.from({ length: 512 }, (_, i) => ((i * 37) % 512) * 4096)
    const pieces = await Promise.all(places.map((at) => read(image, at, 4096)))
    pieces.forEach((piece, i) => expectBytes(piece, content.subarray(places[i], places[i]! + 4096), `piece ${i}`))
  })

  test('is written and grows, and another reader sees it', async () => {
    const path = scratchFile(100)
    const image = await open(driver, path)
    await image.writer!.write(50, pattern(100), 0)
    await image.writer!.write(200, pattern(2 * MiB), 0)
    await image.writer!.write(7, new Uint8Array(0), 0)
    expect(image.size()).toBe(200 + 2 * MiB)
    await image.writer!.flush('host')
    await image.writer!.flush('stable')
    const content = fs.readFileSync(path)
    expectBytes(content.subarray(50, 150), pattern(100))
    expectBytes(content.subarray(200), pattern(2 * MiB))
  })

  test('keeps order of time: a read after a write sees it, also when thousands complete at once', async () => {
    const image = await open(driver, scratchFile(4 * MiB))
    await Promise.all(
      Array.from({ length: 1000 }, async (_, i) => {
        await image.writer!.write(i * 4096, new Uint8Array(4096).fill(i), 0)
        expect((await read(image, i * 4096 + 4095, 1))[0]).toBe(i & 0xff)
      }),
    )
  })

  test('an endless chain of requests leaves timers their turn', async () => {
    const image = await open(driver, scratchFile(pattern(65536)))
    let fired = false
    setTimeout(() => (fired = true), 1)
    const into = new Uint8Array(4096)
    let requests = 0
    while (!fired && requests < 5_000_000) {
      await (requests++ % 2 ? image.read(0, into, 0) : image.writer!.write(0, into, 0))
    }
    expect(fired).toBe(true)
  })

  test('is resized, with space as asked for', async () => {
    const path = scratchFile(pattern(1000))
    const image = await open(driver, path)
    const resize = image.resize!
    expect(resize.preallocations).toEqual(['off', 'falloc', 'full'])
    await resize.resize(10 * MiB, { preallocation: 'off', zeroFill: true })
    expect(fs.statSync(path).blocks * 512).toBeLessThan(MiB)
    await resize.resize(12 * MiB, { preallocation: 'falloc', zeroFill: true })
    await resize.resize(14 * MiB + 5, { preallocation: 'full', zeroFill: true })
    expect(fs.statSync(path).blocks * 512).toBeGreaterThanOrEqual(4 * MiB)
    expect([image.size(), fs.statSync(path).size]).toEqual([14 * MiB + 5, 14 * MiB + 5])
    expect(await image.allocatedSize!()).toBe(fs.statSync(path).blocks * 512)
    await expect(resize.resize(MiB, { preallocation: 'full', zeroFill: true })).rejects.toThrow('Preallocation can only be used for growing images')
    await resize.resize(500, { preallocation: 'off', zeroFill: true })
    expectBytes(fs.readFileSync(path), pattern(1000).subarray(0, 500))
    expect(image.size()).toBe(500)
  })

  test('a size that the host cannot store is refused and changes nothing', async () => {
    const path = scratchFile(pattern(1000))
    const image = await open(driver, path)
    await expect(image.resize!.resize(2 ** 53 - 65536, { preallocation: 'off', zeroFill: true })).rejects.toEqual(refusal('range'))
    expect([image.size(), fs.statSync(path).size]).toEqual([1000, 1000])
  })

  test('opened read-only cannot be changed, and is not made', async () => {
    const path = scratchFile(100)
    const image = await open(driver, path, {}, true)
    expect([image.writer, image.zero, image.discard, image.resize]).toEqual([undefined, undefined, undefined, undefined])
    await expect(open(driver, join(scratch(), 'none'))).rejects.toEqual(refusal('not-found'))
  })

  test('is created with its size, and created again it is empty', async () => {
    const path = join(scratch(), 'new')
    await create(driver, path, { size: '1M' })
    expect(fs.statSync(path)).toMatchObject({ size: MiB, blocks: 0 })
    await (await open(driver, path)).writer!.write(0, pattern(4096), 0)
    await create(driver, path, { size: 8192, preallocation: 'full' })
    expectBytes(fs.readFileSync(path), new Uint8Array(8192))
    await create(driver, path, { size: '3M', preallocation: 'falloc' })
    expect(fs.statSync(path).blocks * 512).toBeGreaterThanOrEqual(3 * MiB)
  })

  test('says what is wrong in the words of the reference tools', async () => {
    const folder = scratch()
    await expect(open(driver, join(folder, 'none'))).rejects.toThrow(`Could not open '${join(folder, 'none')}': No such file or directory`)
    await expect(open(driver, folder)).rejects.toThrow(`'file' driver requires '${folder}' to be a regular file`)
    await expect(open(driver, '')).rejects.toThrow("The 'file' block driver requires a file name")
    await expect(create(driver, folder)).rejects.toThrow(`Could not create '${folder}': Is a directory`)
    await expect(create(driver, join(folder, 'no', 'x'))).rejects.toThrow(`Could not create '${join(folder, 'no', 'x')}': No such file or directory`)
    await expect(open(driver, 'a\0b')).rejects.toEqual(refusal('invalid'))
  })

  test.runIf(onLinux)('fails a write that the host cannot store, and later requests work', async () => {
    const image = await open(driver, scratchFile(4096))
    await expect(image.writer!.write(2 ** 52, pattern(4096), 0)).rejects.toEqual(refusal('range'))
    await expect(image.writer!.write(2 ** 52, pattern(200000), 0)).rejects.toEqual(refusal('range'))
    expect(image.size()).toBe(4096)
    await image.writer!.write(0, pattern(4096), 0)
    expectBytes(await read(image, 0, 4096), pattern(4096))
  })

  test.runIf(onLinux)('does not wait for the other end of a pipe', async () => {
    const fifo = join(scratch(), 'fifo')
    spawnSync('mkfifo', [fifo])
    await expect(open(driver, fifo)).rejects.toThrow('to be a regular file')
  })

  test('sees what others did to it after invalidate', async () => {
    const path = scratchFile(1000)
    const image = await open(driver, path)
    fs.truncateSync(path, 5000)
    expect(image.size()).toBe(1000)
    await image.invalidate!()
    expect(image.size()).toBe(5000)
  })
})

test('without koffi there are no holes, no locks and no zeroing, and nothing is said when that is chosen', async () => {
  const warnings: string[] = []
  const image = await open(plainDriver, scratchFile(1000), {}, false, warnings)
  expect([image.extents, image.zero, image.discard, image.permissions]).toEqual([undefined, undefined, undefined, undefined])
  expect(warnings).toEqual([])
  await expect(open(plainDriver, scratchFile(1000), { locking: 'on' })).rejects.toEqual(refusal('unsupported'))
  await expect(open(plainDriver, scratchFile(1000), { cache: { direct: true } })).rejects.toThrow('cache.direct needs Linux and the package koffi')
})
