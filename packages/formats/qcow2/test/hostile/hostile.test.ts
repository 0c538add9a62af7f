import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { oracleAvailable, qemuImg, qemuIo, tempFolder } from '@blockloom/oracle'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Base, Case } from './case.ts'
import { compressedCases } from './compressed-cases.ts'
import { extensionCases, headerCases } from './header-cases.ts'
import { Handle } from './handle.ts'
import { Judge } from './judge.ts'
import { READ_WHOLE, type Answer, type Verdict } from './judge-worker.ts'
import { bitmapCases, snapshotCases } from './list-cases.ts'
import { ReferenceFolder, type Opinion } from './reference.ts'
import { mappingCases, refcountCases } from './table-cases.ts'

// Malformed images, one by one. Each is refused or read as the reference does; a refusal is a BlockError that names what
// is wrong; nothing hangs, and nothing takes memory because a field says so.

const MEMORY = 256 << 20
const CPU_MS = 5000
const IMAGE = 'image.qcow2'

const WRITTEN = ['write -P 1 0 20k', 'write -P 2 100k 6k', 'write -c -P 7 32k 4k', 'write -c -P 9 64k 4k']
const recipes: Readonly<Record<Base, { readonly options: string; readonly size?: string; readonly steps: readonly string[] }>> = {
  plain: { options: 'cluster_size=4k', steps: WRITTEN },
  'version 2': { options: 'compat=0.10,cluster_size=4k', steps: WRITTEN },
  '512': { options: 'cluster_size=512', steps: ['write -P 1 0 20k', 'write -P 2 100k 6k'] },
  zstd: { options: 'cluster_size=4k,compression_type=zstd', steps: WRITTEN },
  extended: { options: 'extended_l2=on,cluster_size=16k', steps: ['write -P 1 0 20k', 'write -c -P 7 32k 16k'] },
  snapshots: { options: 'cluster_size=4k', steps: [...WRITTEN, '!snapshot -c first', 'write -P 4 0 9k', '!snapshot -c second', 'write -P 5 4k 2k'] },
  bitmaps: { options: 'cluster_size=4k', steps: ['write -P 1 0 20k', '!bitmap --add -g 4k', 'write -P 2 0 4k'] },
  'data file': { options: `cluster_size=4k,data_file=data`, steps: ['write -P 1 0 20k'] },
  'large clusters': { options: 'cluster_size=256k', steps: ['write -P 1 0 20k'] },
}

describe.runIf(oracleAvailable())('malformed images', () => {
  const folder = tempFolder()
  const bases = new Map<Base, Uint8Array>()
  const judge = new Judge()
  let dataFile = new Uint8Array()
  beforeAll(() => {
    for (const [base, { options, size = '1M', steps }] of Object.entries(recipes)) {
      const path = join(folder, base.replaceAll(' ', '-'))
      qemuImg('create', '-q', '-f', 'qcow2', '-o', options.replace('=data', `=${join(folder, 'data')}`), path, size)
      for (const step of steps) {
        const [command, ...args] = step.slice(1).split(' ')
        if (step.startsWith('!')) qemuImg(command!, ...args, path, ...(command === 'bitmap' ? ['bitmap-0'] : []))
        else qemuIo(path, [step], { format: 'qcow2' })
      }
      if (base === 'data file') qemuImg('amend', '-f', 'qcow2', '-o', 'data_file=data', path)
      bases.set(base as Base, new Uint8Array(readFileSync(path)))
    }
    dataFile = new Uint8Array(readFileSync(join(folder, 'data')))
  })
  afterAll(async () => {
    await judge[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  describe.each([
    ['the header', headerCases],
    ['header extensions', extensionCases],
    ['L1 and L2 tables', mappingCases],
    ['refcounts', refcountCases],
    ['compressed clusters', compressedCases],
    ['snapshots', snapshotCases],
    ['bitmaps', bitmapCases],
  ] as const)('%s', (_, cases) => {
    it.each(cases.map((each) => [each.name, each] as const))('%s', { timeout: 300_000 }, async (_name, hostile) => {
      await examine(hostile)
    })
  })

  async function examine(hostile: Case): Promise<void> {
    const handle = new Handle(bases.get(hostile.base)!)
    hostile.damage(handle)
    const files = { [IMAGE]: handle.bytes, ...(hostile.base === 'data file' ? { data: dataFile } : {}) }
    const answer = await judge.ask({ files, image: IMAGE, gate: 'allow', write: hostile.write === true })

    const verdicts = [answer.info, answer.read, answer.check, answer.write, answer.repair, ...answer.snapshots, ...answer.bitmaps]
    for (const verdict of verdicts) if (verdict !== undefined && !verdict.ok) expect(verdict, verdict.message).toMatchObject({ named: true })
    expect(answer.memory).toBeLessThan(MEMORY)
    expect(answer.cpuMilliseconds).toBeLessThan(CPU_MS)
    // A repair that is content with itself leaves nothing to be found.
    if (answer.repair?.ok === true && answer.repair.left === 0) expect(answer.repair.after).toBe(0)
    for (const verdict of [answer.info, answer.read]) if (!verdict.ok) expect(`${verdict.field} ${verdict.message}`).toMatch(hostile.names ?? /^/)

    const reference = new ReferenceFolder(folder, files)
    const { differs } = hostile
    const isSmall = answer.size === undefined || answer.size <= READ_WHOLE
    if (differs?.read === undefined || differs.info === undefined) {
      const read = isSmall ? reference.convert(IMAGE) : reference.read(IMAGE, 0, 65536)
      // What it reads it has opened.
      const info = read.accepts ? read : reference.info(IMAGE)
      if (hostile.bitmaps === 'broken') bitmapsAgree(answer, read, new Handle(bases.get(hostile.base)!).bytes)
      else {
        agree('info', answer.info, differs?.info, info)
        agree('reading', answer.read, differs?.read, read)
      }
      if (isSmall && answer.read.ok && read.accepts) expect(sameBytes(answer.content!, read.content!), 'the reference reads something else').toBe(true)
    }
    if (answer.check !== undefined && hostile.bitmaps === undefined) checkAgrees(answer.check, differs?.check, reference.check(IMAGE))
  }

  /** An image that the reference refuses for its bitmaps: at least they are refused, and the rest is right. */
  function bitmapsAgree(answer: Answer, theirs: Opinion, undamaged: Uint8Array): void {
    if (theirs.accepts) expect(answer.read, answer.read.message).toMatchObject({ ok: true })
    if (theirs.accepts || !answer.read.ok) return
    if (answer.hasBitmaps) expect([...answer.bitmaps, answer.info].some(({ ok }) => !ok), `the reference says ${theirs.says}`).toBe(true)
    const whole = new ReferenceFolder(folder, { [IMAGE]: undamaged }).convert(IMAGE)
    expect(sameBytes(answer.content!, whole.content!), 'broken bitmaps change what the guest reads').toBe(true)
  }
})

/** A size that is no multiple of 512 bytes is rounded by the reference, which counts in sectors. */
function sameBytes(ours: Uint8Array, theirs: Uint8Array): boolean {
  const shared = Math.min(ours.length, theirs.length)
  return Math.abs(ours.length - theirs.length) < 512 && Buffer.compare(ours.subarray(0, shared), theirs.subarray(0, shared)) === 0
}

function agree(what: string, ours: Verdict, differs: 'accepts' | 'refuses' | undefined, theirs: Opinion): void {
  const said = `${what}: we say ${ours.ok ? 'ok' : `"${ours.message}"`}, the reference says ${theirs.says.slice(0, 400)}`
  expect(ours.ok ? 'accepts' : 'refuses', said).toBe(differs ?? (theirs.accepts ? 'accepts' : 'refuses'))
}

/** Both find corruptions, or both find none. */
function checkAgrees(ours: NonNullable<Answer['check']>, differs: 'accepts' | 'refuses' | undefined, theirs: Opinion): void {
  const fine = ours.ok && ours.corruptions === 0 && ours.checkErrors === 0
  agree('check', { ...ours, ok: fine, message: ours.message ?? JSON.stringify(ours) }, differs, theirs)
}
