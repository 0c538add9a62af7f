import { everyRequestFails } from './every-request.ts'

// The other half, in a file of its own so that it runs at the same time.
everyRequestFails(1)
