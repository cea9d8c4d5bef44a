import { openFileLog } from '../helpers/open-file-log.js'
import { cursorSuite } from './cursor-suite.js'
import { readableSuite } from './readable-suite.js'
import { rxjsSuite } from './rxjs-suite.js'
import { transactionSuite } from './transaction-suite.js'
import { transformSuite } from './transform-suite.js'
import { writableSuite } from './writable-suite.js'

cursorSuite(openFileLog)
readableSuite(openFileLog)
transformSuite(openFileLog)
writableSuite(openFileLog)
transactionSuite(openFileLog)
rxjsSuite(openFileLog)
