import path from 'node:path'
import { checkWorkspace } from './check-workspace.ts'
import { fileLengths } from './file-lengths.ts'
import { readWorkspace } from './workspace.ts'

const workspace = readWorkspace(path.resolve(import.meta.dirname, '../../..'))
const findings = checkWorkspace(workspace)
for (const { where, message } of findings) console.error(`${where}: ${message}`)

const { files, median, longest } = fileLengths(workspace)
console.log(`${workspace.packages.length} packages, ${files} source files, median ${median} lines, longest ${longest.lines} (${longest.file})`)
process.exitCode = findings.length === 0 ? 0 : 1
