package payv3

// envelope is the body of every notification.
type envelope struct {
	ID           string   `json:"id"`
	CreateTime   string   `json:"create_time"`
	ResourceType string   `json:"resource_type"`
	EventType    string   `json:"event_type"`
	Summary      string   `json:"summary"`
	Resource     Resource `json:"resource"`
}

// Resource is an encrypted object inside a notification.
type Resource struct {
	OriginalType   string `json:"original_type,omitempty"`
	Algorithm      string `json:"algorithm"`
	Ciphertext     string `json:"ciphertext"` // base64 of ciphertext and 16-byte tag
	AssociatedData string `json:"associated_data,omitempty"`
	Nonce          string `json:"nonce"` // 12 bytes
}

// certificatesReply is the answer to GET /v3/certificates.
type certificatesReply struct {
	Data []certificateEntry `json:"data"`
}

type certificateEntry struct {
	SerialNo           string   `json:"serial_no"`
	EffectiveTime      string   `json:"effective_time"`
	ExpireTime         string   `json:"expire_time"`
	EncryptCertificate Resource `json:"encrypt_certificate"`
}
