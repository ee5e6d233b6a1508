// The Node SDK, unmodified: prints one line of JSON per check.
//   node sdk.cjs BASE_URL KEY
'use strict';
const OpenAI = require('openai');
const [baseURL, apiKey] = process.argv.slice(2);
const sdk = new OpenAI({ baseURL, apiKey });
const hasty = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const say = (text) => [{ role: 'user', content: text }];

async function failure(call) {
  try {
    await call();
  } catch (error) {
    return {
      kind: error.constructor.name,
      status: error.status ?? null,
      code: error.code ?? null,
      param: error.param ?? null,
      type: error.type ?? null,
      message: error.message,
      requestID: error.requestID ?? null,
      retryAfter: error.headers ? error.headers.get('retry-after') : null,
    };
  }
  return { kind: null };
}

const checks = {
  async chat() {
    const answer = await sdk.chat.completions.create({ model: 'fast', messages: say('from node') });
    return { content: answer.choices[0].message.content, requestID: answer._request_id };
  },
  async completions() {
    const answer = await sdk.completions.create({ model: 'fast', prompt: 'once upon' });
    return { text: answer.choices[0].text, object: answer.object };
  },
  async embeddings() {
    const input = ['one', 'two'];
    const byDefault = await sdk.embeddings.create({ model: 'fast', input });
    const floats = await sdk.embeddings.create({ model: 'fast', input, encoding_format: 'float' });
    return {
      byDefault: byDefault.data.map((one) => Array.from(one.embedding)),
      floats: floats.data.map((one) => Array.from(one.embedding)),
    };
  },
  async models() {
    const names = [];
    for await (const model of sdk.models.list()) names.push(model.id);
    return { names, one: await sdk.models.retrieve('acme/nested-model') };
  },
  async raw() {
    const { data, response, request_id } = await sdk.chat.completions
      .create({ model: 'fast', messages: say('raw') }).withResponse();
    return {
      content: data.choices[0].message.content, request_id,
      header: response.headers.get('x-request-id'), job: response.headers.get('x-synq-job-id'),
    };
  },
  async idempotency() {
    const options = { headers: { 'Idempotency-Key': `node-${process.pid}-${Date.now()}` } };
    const one = await sdk.chat.completions
      .create({ model: 'fast', messages: say('one') }, options).withResponse();
    const two = await sdk.chat.completions
      .create({ model: 'fast', messages: say('one') }, options).withResponse();
    return {
      jobs: [one, two].map((answer) => answer.response.headers.get('x-synq-job-id')),
      other: await failure(() =>
        hasty.chat.completions.create({ model: 'fast', messages: say('two') }, options)),
    };
  },
  async respondAsync() {
    const response = await sdk.chat.completions.create(
      { model: 'slow', messages: say('x') }, { headers: { Prefer: 'respond-async' } }).asResponse();
    return { status: response.status, location: response.headers.get('location'), job: await response.json() };
  },
  badRequest: () => failure(() => hasty.chat.completions.create({ model: 'fast', messages: 'x' })),
  stream: () => failure(() =>
    hasty.chat.completions.create({ model: 'fast', messages: say('x'), stream: true })),
  notFound: () => failure(() => hasty.models.retrieve('nobody/knows')),
  noSuchModel: () => failure(() =>
    hasty.chat.completions.create({ model: 'nobody', messages: say('x') })),
  authentication: () => failure(() =>
    new OpenAI({ baseURL, apiKey: 'synq_live_' + 'A'.repeat(16) + '_' + 'B'.repeat(49) }).models.list()),
  unprocessable: () => failure(() =>
    hasty.chat.completions.create({ model: 'unprocessable', messages: say('x') })),
  broken: () => failure(() => hasty.chat.completions.create({ model: 'broken', messages: say('x') })),
  async conflict() {
    const job = await sdk.post('/jobs', { body: {
      endpoint: '/v1/chat/completions', body: { model: 'fast', messages: say('x') } } });
    let state = job.status;
    while (state !== 'succeeded') {
      await new Promise((resolve) => setTimeout(resolve, 20));
      state = (await sdk.get(`/jobs/${job.id}`)).status;
    }
    return failure(() => hasty.post(`/jobs/${job.id}/cancel`));
  },
  async limited() {
    const began = Date.now();
    const error = await failure(() => new OpenAI({ baseURL, apiKey, maxRetries: 1 })
      .chat.completions.create({ model: 'limited', messages: say('x') }));
    return { ...error, took_ms: Date.now() - began };
  },
  timeout: () => failure(() => hasty.chat.completions.create(
    { model: 'slow', messages: say('x') }, { timeout: 700 })),
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    let line;
    try {
      line = { name, result: await check() };
    } catch (error) {
      line = { name, error: String(error.stack || error) };
    }
    process.stdout.write(JSON.stringify(line) + '\n');
  }
})();
