// A merchant with wechatpay-axios-plugin. The first argument says what to do,
// standard input gives the case as JSON, standard output gets what came of it
// as JSON.
import wechatpay from 'wechatpay-axios-plugin';
import { readFileSync } from 'node:fs';

const { Wechatpay, Rsa, Aes, Hash, Formatter, Transformer } = wechatpay;
const input = JSON.parse(readFileSync(0, 'utf8'));

const client = () => new Wechatpay({
  mchid: input.mchid,
  serial: input.serial,
  privateKey: Rsa.from(input.private_key, Rsa.KEY_TYPE_PRIVATE),
  certs: Object.fromEntries(Object.entries(input.certs).map(([serial, pem]) => [serial, Rsa.from(pem, Rsa.KEY_TYPE_PUBLIC)])),
  secret: input.v2_key,
  merchant: { cert: input.certificate, key: input.private_key },
  baseURL: input.sandbox,
});

// pay lets the sandbox's buyer pay.
const pay = async (number) => {
  const response = await fetch(`${input.sandbox}sandbox/pay`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ out_trade_no: number }),
  });
  if (!response.ok) throw new Error(`paying: ${response.status} ${await response.text()}`);
};

const actions = {
  // v3 places an order, has it paid, asks for it and gives a part back.
  async v3() {
    const wxpay = client();
    const { data: placed } = await wxpay.v3.pay.transactions[input.path].post(input.order);
    await pay(input.order.out_trade_no);
    const { data: found } = await wxpay.v3.pay.transactions.outTradeNo._out_trade_no_
      .get({ params: { mchid: input.mchid }, out_trade_no: input.order.out_trade_no });
    const { data: refund } = await wxpay.v3.refund.domestic.refunds.post(input.refund);
    return { placed, found, refund };
  },

  // v2 does the same in XML; the refund carries the merchant's certificate.
  async v2() {
    const wxpay = client();
    const { data: placed } = await wxpay.v2.pay.unifiedorder.post(input.order);
    await pay(input.order.out_trade_no);
    const { data: found } = await wxpay.v2.pay.orderquery.post(input.query);
    const { data: refund } = await wxpay.v2.secapi.pay.refund.post(input.refund, { security: true });
    return { placed, found, refund };
  },

  // receive_v3 verifies and opens a notification.
  receive_v3() {
    const { headers, body, key, certs } = input;
    const verified = Rsa.verify(
      Formatter.response(headers['wechatpay-timestamp'], headers['wechatpay-nonce'], body),
      headers['wechatpay-signature'],
      Rsa.from(certs[headers['wechatpay-serial']], Rsa.KEY_TYPE_PUBLIC),
    );
    const { event_type: event, resource: { ciphertext, nonce, associated_data: aad } } = JSON.parse(body);
    return { verified, event, resource: JSON.parse(Aes.AesGcm.decrypt(ciphertext, key, nonce, aad)) };
  },

  // receive_v2 verifies a payment's notification, or opens a refund's.
  receive_v2() {
    const { body, key } = input;
    const message = Transformer.toObject(body);
    if (message.req_info) {
      return { verified: true, resource: Transformer.toObject(Aes.AesEcb.decrypt(message.req_info, Hash.md5(key))) };
    }
    const { sign, ...fields } = message;
    const type = sign.length === 64 ? Hash.ALGO_HMAC_SHA256 : Hash.ALGO_MD5;
    return { verified: Hash.equals(Hash.sign(type, fields, key), sign), resource: fields };
  },
};

try {
  process.stdout.write(JSON.stringify(await actions[process.argv[2]]()));
} catch (error) {
  process.stderr.write(`${error.stack}\n${JSON.stringify(error.response?.data ?? null)}\n`);
  process.exitCode = 1;
}
