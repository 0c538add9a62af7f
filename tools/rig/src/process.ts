import { execFile } from 'node:child_process'

/** A program that ended with another exit code than 0, with everything it printed as the message. */
class ProcessError extends Error {
  override readonly name = 'ProcessError'
}

/** Runs a program to its end and returns what it printed. @internal */
export function execute(command: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new ProcessError(`${stdout}${stderr}`.trim() || error.message, { cause: error }))
    })
  })
}
