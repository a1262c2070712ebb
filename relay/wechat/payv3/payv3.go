// Package payv3 speaks WeChat Pay's APIv3, as a merchant and as WeChat.
//
// A merchant begins with [NewKeyRing], which holds the keys that WeChat may
// sign with, and [NewClient], whose methods call WeChat and whose
// [Client.ParseNotification] reads what WeChat posts. The other end of the
// wire is [Platform] with [VerifyRequest]; a simulator of WeChat and anybody
// who must notify like WeChat build on it.
//
// The package promises: nothing is decoded before its signature was verified
// over the raw bytes, nothing is decrypted before that either, and no error
// text holds a body, a key, a token, an openid or the query of an address.
// It keeps no product rules: whether a transaction settles an order is
// decided elsewhere.
//
// Section numbers in comments without another source are those of WeChat's
// documentation as listed at pay.weixin.qq.com/doc/v3/merchant.
package payv3

// Names that both ends write and read.
const (
	// scheme is the authorization scheme and the signature type of the RSA
	// signatures of APIv3.
	scheme = "WECHATPAY2-SHA256-RSA2048"
	// algorithmAESGCM is the only resource encryption built here. SM4 belongs
	// to another signature scheme.
	algorithmAESGCM = "AEAD_AES_256_GCM"
	// publicKeyPrefix begins the id of a WeChat Pay public key; a platform
	// certificate is named by its serial number, in hex.
	publicKeyPrefix = "PUB_KEY_ID_"
	// ProbePrefix begins the signatures that WeChat sends now and then to see
	// whether they are checked (doc 4013053249). They must fail.
	ProbePrefix = "WECHATPAY/SIGNTEST/"

	headerTimestamp     = "Wechatpay-Timestamp"
	headerNonce         = "Wechatpay-Nonce"
	headerSignature     = "Wechatpay-Signature"
	headerSerial        = "Wechatpay-Serial"
	headerSignatureType = "Wechatpay-Signature-Type"

	resourceTypeEncrypted = "encrypt-resource"
	associatedCertificate = "certificate"
)
