import { Permission } from '@blockloom/block-driver'
import { spawn, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { close, create, nativeDriver, onLinux, hasQemu, open, refusal, scratchFile } from './scratch.ts'

const { ALL, CONSISTENT_READ, WRITE, WRITE_UNCHANGED, RESIZE } = Permission
const READER = [CONSISTENT_READ, ALL & ~WRITE & ~RESIZE] as const
const WRITER = [CONSISTENT_READ | WRITE | RESIZE, CONSISTENT_READ | WRITE_UNCHANGED] as const

async function hold(image: Awaited<ReturnType<typeof open>>, [used, shared]: readonly [number, number]) {
  await (await image.permissions!.prepare(used, shared)).commit()
}

/** The bytes of the file that this process has locked. */
function lockedBytes(path: string): number[] {
  const { ino } = fs.statSync(path)
  const bytes: number[] = []
  for (const line of fs.readFileSync('/proc/locks', 'utf8').split('\n')) {
    const found = /OFDLCK .*:(\d+) (\d+) (\d+)$/.exec(line)
    if (found === null || Number(found[1]) !== ino) continue
    for (let byte = Number(found[2]); byte <= Number(found[3]); byte++) bytes.push(byte)
  }
  return bytes.sort((a, b) => a - b)
}

describe.runIf(onLinux)('image locks', () => {
  test('lie at the bytes where the reference has them', async () => {
    const path = scratchFile(65536)
    const image = await open(nativeDriver, path)
    expect(lockedBytes(path)).toEqual([])
    await hold(image, WRITER)
    expect(lockedBytes(path)).toEqual([100, 101, 103, 201, 203])
    await hold(image, [CONSISTENT_READ, ALL])
    expect(lockedBytes(path)).toEqual([100])
    await close(image)
    expect(lockedBytes(path)).toEqual([])
  })

  test('refuse a conflicting use, also in the same process, and leave things as they were', async () => {
    const path = scratchFile(65536)
    const first = await open(nativeDriver, path)
    await hold(first, WRITER)
    const second = await open(nativeDriver, path)
    await expect(second.permissions!.prepare(...WRITER)).rejects.toThrow(`Failed to get "write" lock\nIs another process using the image [${path}]?`)
    await expect(second.permissions!.prepare(...READER)).rejects.toThrow('Failed to get shared "write" lock')
    await expect(second.permissions!.prepare(...READER)).rejects.toEqual(refusal('busy'))
    expect(lockedBytes(path)).toEqual([100, 101, 103, 201, 203])
    await hold(second, [CONSISTENT_READ, ALL])
    await close(first)
    await hold(second, WRITER)
  })

  test('an aborted change is undone', async () => {
    const path = scratchFile(65536)
    const image = await open(nativeDriver, path)
    await hold(image, [CONSISTENT_READ, ALL])
    const change = await image.permissions!.prepare(...WRITER)
    expect(lockedBytes(path)).toEqual([100, 101, 103, 201, 203])
    await change.abort()
    expect(lockedBytes(path)).toEqual([100])
  })

  test('until a smaller change is committed, the larger use stays locked', async () => {
    const path = scratchFile(65536)
    const image = await open(nativeDriver, path)
    await hold(image, WRITER)
    const change = await image.permissions!.prepare(CONSISTENT_READ, ALL)
    expect(lockedBytes(path)).toEqual([100, 101, 103, 201, 203])
    await change.commit()
    expect(lockedBytes(path)).toEqual([100])
  })

  test('are not taken with locking=off', async () => {
    const path = scratchFile(65536)
    await hold(await open(nativeDriver, path), WRITER)
    await hold(await open(nativeDriver, path, { locking: 'off' }), WRITER)
  })

  test('a file in use is not created over', async () => {
    const path = scratchFile(Uint8Array.of(1, 2, 3))
    await hold(await open(nativeDriver, path), WRITER)
    await expect(create(nativeDriver, path, { size: 100 })).rejects.toThrow('Failed to get "write" lock')
    expect([...fs.readFileSync(path)]).toEqual([1, 2, 3])
  })

  test('a reopen switches them off and on', async () => {
    const path = scratchFile(65536)
    const image = await open(nativeDriver, path)
    await hold(image, WRITER)
    await (await image.reopen!({ filename: path, locking: 'off', aio: 'threads' })).commit()
    expect(lockedBytes(path)).toEqual([])
    const other = await open(nativeDriver, path)
    await hold(other, READER)
    await expect(image.reopen!({ filename: path, locking: 'on', aio: 'threads' })).rejects.toEqual(refusal('busy'))
    expect(lockedBytes(path)).toEqual([100, 201, 203])
    await close(other)
    const on = await image.reopen!({ filename: path, locking: 'on', aio: 'threads' })
    await on.abort()
    expect(lockedBytes(path)).toEqual([])
    await (await image.reopen!({ filename: path, locking: 'on', aio: 'threads' })).commit()
    expect(lockedBytes(path)).toEqual([100, 101, 103, 201, 203])
  })
})

describe.runIf(onLinux && hasQemu)('image locks and QEMU', () => {
  function qcow2(): string {
    const path = scratchFile(0)
    expect(spawnSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']).status).toBe(0)
    return path
  }

  /** qemu-io that has the image open until it is told to quit. */
  async function qemuHolds(path: string, ...options: string[]) {
    const qemu = spawn('qemu-io', [...options, '-f', 'qcow2', path], { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = new Promise((resolve) => qemu.on('exit', resolve))
    onTestFinished(() => void qemu.kill())
    // It prompts when it has the image open.
    await new Promise((resolve) => qemu.stdout.once('data', resolve))
    return async () => {
      qemu.stdin.write('quit\n')
      await ended
    }
  }

  test('what it writes to, we do not open to write, nor to read it consistently', async () => {
    const path = qcow2()
    const release = await qemuHolds(path)
    const image = await open(nativeDriver, path)
    await expect(image.permissions!.prepare(...WRITER)).rejects.toThrow('Failed to get "write" lock')
    await expect(image.permissions!.prepare(...READER)).rejects.toThrow('Failed to get shared "write" lock')
    await expect(create(nativeDriver, path)).rejects.toThrow('Failed to get "write" lock')
    await hold(image, [CONSISTENT_READ, ALL])
    await release()
    await hold(image, WRITER)
  })

  test('what it reads, we read too, but do not write', async () => {
    const path = qcow2()
    await qemuHolds(path, '-r')
    const image = await open(nativeDriver, path, {}, true)
    await hold(image, READER)
    await expect((await open(nativeDriver, path)).permissions!.prepare(...WRITER)).rejects.toEqual(refusal('busy'))
  })

  test('it respects ours', async () => {
    const path = qcow2()
    const image = await open(nativeDriver, path)
    await hold(image, WRITER)
    const info = spawnSync('qemu-img', ['info', path], { encoding: 'utf8' })
    expect([info.status, info.stderr]).toEqual([1, `qemu-img: Could not open '${path}': Failed to get shared "write" lock\nIs another process using the image [${path}]?\n`])
    expect(spawnSync('qemu-img', ['info', '-U', path]).status).toBe(0)
    await hold(image, READER)
    expect(spawnSync('qemu-img', ['info', path]).status).toBe(0)
    expect(spawnSync('qemu-io', ['-f', 'qcow2', '-c', 'write 0 64k', path], { encoding: 'utf8' }).stderr).toContain('Failed to get "write" lock')
    await close(image)
    expect(spawnSync('qemu-io', ['-f', 'qcow2', '-c', 'write 0 64k', path]).status).toBe(0)
  })
})
