import { everyRequestFails } from './every-request.ts'

everyRequestFails(0)
