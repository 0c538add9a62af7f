import type { ToolResult } from '@blockloom/oracle'
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Landing, Launch } from './launcher.ts'

const launchers: ChildProcess[] = []
let lastId = 0
const waiting = new Map<number, (result: Landing) => void>()

function start(): ChildProcess {
  const child = fork(fileURLToPath(new URL('./launcher.ts', import.meta.url)), { execArgv: [] })
  child.on('message', (landing: Landing) => {
    waiting.get(landing.id)?.(landing)
    waiting.delete(landing.id)
    if (waiting.size === 0) child.channel?.unref()
  })
  child.on('exit', (status) => {
    launchers.pop()
    for (const [id, land] of waiting) land({ id, status: status ?? 128, stdout: '', stderr: 'The launcher has ended' })
    waiting.clear()
  })
  // It ends with its parent, and does not keep it alive.
  child.unref()
  launchers.push(child)
  return child
}

/** Runs a reference tool without blocking, so that several can run at once. */
export function runTool(program: string, args: readonly string[], input = ''): Promise<ToolResult> {
  const launcher = launchers[0] ?? start()
  const id = ++lastId
  launcher.channel?.ref()
  return new Promise((resolve) => {
    waiting.set(id, resolve)
    launcher.send({ id, program, args, input } satisfies Launch)
  })
}

/** The same; anything but success is an error that shows what was printed. */
export async function mustRun(program: string, args: readonly string[], input?: string): Promise<string> {
  const { status, stdout, stderr } = await runTool(program, args, input)
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}\n${stdout}${stderr}`)
  return stdout
}
