// A site with wechat-oauth. The first argument says what to do, standard input
// gives the case as JSON, standard output gets what came of it as JSON.
import OAuth from 'wechat-oauth';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const input = JSON.parse(readFileSync(0, 'utf8'));

const oauth = new OAuth(input.appid, input.secret);
// The name of WeChat's host leads to the relay.
oauth.setOpts({
  timeout: 30000,
  ca: input.ca,
  beforeRequest(options) {
    if (options.host !== 'api.weixin.qq.com') throw new Error(`the library calls ${options.host}`);
    options.host = options.hostname = '127.0.0.1';
    options.port = input.port;
  },
});
const call = (name) => promisify(oauth[name].bind(oauth));

// refusal is the number that WeChat's error has.
const refusal = async (promise) => {
  try {
    await promise;
    return 0;
  } catch (error) {
    return error.code;
  }
};

const actions = {
  begin() {
    return {
      inside: oauth.getAuthorizeURL(input.callback, 's 5', 'snsapi_userinfo'),
      desktop: oauth.getAuthorizeURLForWebsite(input.callback, 's 5'),
    };
  },

  // finish does all that the library can with a code, and then with a spent one.
  async finish() {
    const { data: token } = await call('getAccessToken')(input.code);
    const user = await call('getUser')(token.openid);
    const { data: refreshed } = await call('refreshAccessToken')(token.refresh_token);
    const verified = await call('verifyToken')(refreshed.openid, refreshed.access_token);
    const replay = await refusal(call('getAccessToken')(input.code));
    const gone = await refusal(call('verifyToken')(refreshed.openid, refreshed.access_token));
    return { token, user, refreshed, verified, replay, gone };
  },
};

try {
  process.stdout.write(JSON.stringify(await actions[process.argv[2]]()));
} catch (error) {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
}
