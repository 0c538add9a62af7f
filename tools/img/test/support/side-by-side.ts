import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Host } from '../../src/host.ts'
import { run } from '../../src/run.ts'

/** What a command printed, and how it ended. */
export interface Outcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Our tool, in this process, called `qemu-img`. */
export async function ours(folder: string, args: readonly string[], host: Partial<Host> = {}): Promise<Outcome> {
  const before = process.cwd()
  process.chdir(folder)
  let stdout = ''
  let stderr = ''
  try {
    const status = await run(
      {
        program: 'qemu-img',
        columns: undefined,
        out: (text) => void (stdout += text),
        err: (text) => void (stderr += text),
        drained: () => Promise.resolve(),
        now: () => performance.now(),
        interruptible: (work) => work(new AbortController().signal),
        ...host,
      },
      args,
    )
    return { status, stdout, stderr }
  } finally {
    process.chdir(before)
  }
}

/** The reference. */
export function reference(folder: string, args: readonly string[]): Outcome {
  const { status, stdout, stderr } = spawnSync('qemu-img', args, { cwd: folder, encoding: 'utf8', timeout: 20_000 })
  return { status: status ?? 128, stdout, stderr }
}

/** A command that both run in one folder, which it does not change. */
export async function expectSame(folder: string, args: readonly string[], normalise: (text: string) => string = (text) => text): Promise<void> {
  const wanted = reference(folder, args)
  const got = await ours(folder, args)
  expect(shown(got, normalise), args.join(' ')).toEqual(shown(wanted, normalise))
}

function shown({ status, stdout, stderr }: Outcome, normalise: (text: string) => string): Outcome {
  return { status, stdout: normalise(stdout), stderr: normalise(stderr) }
}

/** Folders for the reference and for us, with the same content. */
export class Twins {
  readonly root = mkdtempSync(join(tmpdir(), 'blockloom-img-'))
  readonly theirs = join(this.root, 'theirs')
  readonly ours = join(this.root, 'ours')

  /** @param line - what will be run: images that it names are there, and those below them */
  constructor(content: string, line: string) {
    const named = readdirSync(content).filter((name) => [line, 'data.qcow2 data.raw', line.includes('top.') ? 'over.qcow2' : ''].some((text) => text.includes(name)))
    for (const folder of [this.theirs, this.ours]) {
      mkdirSync(join(folder, 'sub'), { recursive: true })
      for (const name of named) cpSync(join(content, name), join(folder, name), { recursive: true })
    }
  }

  /** A command that both run, each in its own folder. */
  async expectSame(args: readonly string[], normalise: (text: string) => string = (text) => text): Promise<void> {
    const wanted = reference(this.theirs, args)
    const got = await ours(this.ours, args)
    expect(shown(got, normalise), args.join(' ')).toEqual(shown(wanted, normalise))
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true })
  }
}

/** A command line as a shell would split it, for tables of cases; `'` quotes. */
export function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2]!)
}
