// Server-sent events in a real EventSource: docs/examples/ticker. Run by `./dev browser`.
import assert from 'node:assert'
import { spawn } from 'node:child_process'
import { launch } from './chromium.mjs'

const ticker = process.env.SERVAL_EXAMPLES + '/ticker'

// The program and its address. It is to be ended by SIGKILL: as if the machine had gone.
function start(address) {
  const program = spawn(ticker, [address], { stdio: ['ignore', 'pipe', 'inherit'] })
  return new Promise((resolve, reject) => {
    program.on('exit', code => reject(new Error('ticker: exit ' + code)))
    program.stdout.on('data', line => resolve({ program, base: /listen=(\S+)/.exec(line)[1] }))
  })
}

function stop(program) {
  return new Promise(resolve => { program.removeAllListeners('exit'); program.on('exit', resolve); program.kill('SIGKILL') })
}

const browser = await launch()
const page = await (await browser.newContext()).newPage()
page.setDefaultTimeout(30000)
const shows = (text, from = 0) => page.waitForFunction(([text, from]) =>
  document.getElementById('log').textContent.indexOf(text, from) >= 0, [text, from])
const log = () => page.evaluate(() => document.getElementById('log').textContent)
const say = text => page.evaluate(text => fetch('/say', { method: 'POST', body: text }).then(r => r.text()), text)

let { program, base } = await start('127.0.0.1:0')
let failed = 0
try {
  await page.goto(base)
  await shows('hello  you are new here')
  await shows('tick ')
  assert.equal(await say('good\nmorning \u2603'), 'said\n')
  await shows('good\nmorning \u2603')
  console.log('ok    an EventSource gets events, ids and lines')

  const before = await log(), last = [...before.matchAll(/^tick (\d+) /gm)].pop()[1]
  await stop(program)
  ;({ program } = await start(new URL(base).host))
  await shows('hello ' + last + ' you have seen ' + last, before.length)
  await shows('tick 1 ', before.length)
  console.log('ok    it comes back by itself and says where it was')
} catch (error) {
  failed = 1
  console.log('FAIL  events\n' + error.stack)
}
await browser.close()
await stop(program)
process.exit(failed)
