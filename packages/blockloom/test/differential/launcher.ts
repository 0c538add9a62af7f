import { spawn } from 'node:child_process'

/** A tool to run. */
export interface Launch {
  readonly id: number
  readonly program: string
  readonly args: readonly string[]
  readonly input: string
}

/** How it went. */
export interface Landing {
  readonly id: number
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** The reference loops for ever on some images. */
const PATIENCE_MS = 100_000

// Started by run-tool.ts. Starting a process costs time by the size of the one that starts it, and a test worker is
// large (30 ms at 250 MB); this one is small.
process.on('message', ({ id, program, args, input }: Launch) => {
  const child = spawn(program, args, { env: { ...process.env, LC_ALL: 'C' }, timeout: PATIENCE_MS, killSignal: 'SIGKILL' })
  const out: string[] = []
  const err: string[] = []
  const land = (status: number): void => void process.send!({ id, status, stdout: out.join(''), stderr: err.join('') } satisfies Landing)
  child.stdout.setEncoding('utf8').on('data', (text: string) => out.push(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => err.push(text))
  child.on('error', (error) => {
    err.push(String(error))
    land(127)
  })
  child.on('close', (status) => land(status ?? 128))
  // A tool that ends early closes its input; its status says so.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
})
