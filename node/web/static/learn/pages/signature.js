// Step 4: a payment, signed; and what becomes of the signature when anything changes.

import { encodeAddress } from '../address.js'
import { concat, decodeBlock, show, textBytes, toHex, transferParts, txidOf, unshow } from '../bytes.js'
import { coin, fillOwn, rawBlock, someTransfer, status } from '../own.js'
import { isSigned, newSecret, payloadOf, signTransfer } from '../schnorr.js'
import { sha256 } from '../sha256.js'
import { coins, done, judge, number, one, showParts, tell, unitsOf } from '../ui.js'

const COLOURS = ['version', 'sender', 'receiver', 'amount', 'fee', 'sequence', 'memo', 'signature']
const [receiver, amount, memo, chain] = ['#receiver', '#amount', '#memo', '#chain'].map((id) => one(id))
const secretOf = (name) => sha256(textBytes(`the lesson's ${name}`))
const SECRETS = { ann: newSecret(), ben: secretOf('ben'), mallory: secretOf('mallory') }
const PAYLOADS = Object.fromEntries(Object.entries(SECRETS).map(([name, secret]) => [name, payloadOf(secret)]))
const CHAINS = { own: sha256(textBytes('a coin')), other: sha256(textBytes('another coin')) }

const coinHere = { decimals: 6, hrp: 'coin' }
let signed = null
let spoiled = false

// The parts of a transfer, where the memo and its length are one.
function partsOf(transfer) {
  const parts = Object.fromEntries(transferParts(transfer))
  return COLOURS.map((name) => [name, name === 'memo' ? concat(parts.length, parts.memo) : parts[name]])
}

function unsigned() {
  return {
    kind: 'transfer',
    sender: PAYLOADS.ann,
    receiver: PAYLOADS[receiver.value],
    amount: unitsOf(amount.value, coinHere.decimals),
    fee: 0n,
    sequence: 0n,
    memo: textBytes(memo.value).slice(0, 140),
  }
}

function draw() {
  const now = unsigned()
  const isAmount = now.amount !== null && now.amount > 0n
  amount.setAttribute('aria-invalid', !isAmount)
  for (const id of ['#sign', '#forge']) one(id).disabled = !isAmount
  if (!isAmount) {
    const places = coinHere.decimals
    const says = `No amount: digits, and at most ${places} of them behind a point (such as 12.5).`
    return judge(one('#verdict'), 'bad', says)
  }
  const transfer = { ...now, signature: signed?.signature ?? new Uint8Array(0) }
  showParts(one('#bytes'), partsOf(transfer), COLOURS, signed && partsOf(signed))
  if (!signed) return judge(one('#verdict'), null, 'Not signed yet: nobody would take it.')
  if (isSigned(CHAINS[chain.value], transfer)) {
    judge(one('#verdict'), 'good', 'The signature fits: every node would know that Ann wants this.')
    done('sign')
    if (spoiled) done('back')
    spoiled = false
    return
  }
  const changed = COLOURS.slice(0, -1).filter((name) => bytesOf(transfer, name) !== bytesOf(signed, name))
  spoiled ||= changed.includes('amount')
  judge(one('#verdict'), 'bad', whyNot(changed))
}

function whyNot(changed) {
  if (signed.by !== 'ann') {
    done('forge')
    return 'The signature does not fit: it is not by the key in the sender’s address.'
  }
  if (changed.includes('amount')) done('amount')
  if (changed.length) return `The signature does not fit: ${changed.join(' and ')} changed after Ann had signed.`
  done('chain')
  return 'The signature does not fit: Ann signed this for another chain. On that one it counts, here it does not.'
}

const bytesOf = (transfer, name) => toHex(partsOf(transfer).find(([other]) => other === name)[1])

function sign(by) {
  const transfer = signTransfer(SECRETS[by], CHAINS[chain.value], unsigned())
  signed = { ...transfer, by }
  spoiled = false
  draw()
}

one('#sign').addEventListener('click', () => sign('ann'))
one('#forge').addEventListener('click', () => sign('mallory'))
for (const field of [amount, memo]) field.addEventListener('input', draw)
for (const field of [receiver, chain]) field.addEventListener('change', draw)

function showAnn() {
  tell(one('#ann'), encodeAddress(coinHere.hrp, PAYLOADS.ann))
  draw()
}

const ready = Promise.all([coin(), status()]).then(([{ decimals, hrp }, { chain_id: chainId }]) => {
  Object.assign(coinHere, { decimals, hrp })
  CHAINS.own = unshow(chainId)
})
ready.catch(() => {}).then(showAnn)

fillOwn(async () => {
  await ready
  const { block, transaction } = await someTransfer()
  const { transactions } = decodeBlock(await rawBlock(block.hash))
  const found = transactions.find((each) => show(txidOf(each)) === transaction.txid)
  const where = `In block ${number(block.height)} of your chain stands the payment ${transaction.txid.slice(0, 12)}….`
  tell(one('#own-about'), `${where} Its bytes, as your node sent them:`)
  const field = one('#own-amount')
  field.disabled = false
  field.value = coins(found.amount, coinHere.decimals).replaceAll(',', '')
  const check = () => {
    const units = unitsOf(field.value, coinHere.decimals)
    field.setAttribute('aria-invalid', units === null)
    if (units === null) return judge(one('#own-verdict'), 'bad', 'This is no amount.')
    const turned = { ...found, amount: units }
    showParts(one('#own-bytes'), partsOf(turned), COLOURS, partsOf(found))
    const good = isSigned(CHAINS.own, turned)
    const fits = 'Its signature fits: computed here, with your coin’s chain_id.'
    judge(one('#own-verdict'), good ? 'good' : 'bad', good ? fits : 'The signature does not fit: no node takes this.')
    if (!good) done('own')
  }
  field.addEventListener('input', check)
  check()
})
