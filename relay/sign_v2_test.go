package relay

import "testing"

func TestSignV2(t *testing.T) {
	t.Parallel()
	key := NewSecret("0123456789abcdef0123456789ABCDEF")
	fields := func(edit ...string) map[string]string {
		m := map[string]string{
			"amount": "1", "client_id": "1000000000000001", "description": "测试",
			"nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", "order_no": "A000000001", "timestamp": "1795296000",
		}
		for i := 0; i < len(edit); i += 2 {
			m[edit[i]] = edit[i+1]
		}
		return m
	}
	const hmacSign = "8C93E0BE65E6CC4901B459CCA6634551EEA1B8601929B376D0CC46C0751EE156"
	tests := []struct {
		name   string
		fields map[string]string
		kind   V2SignType
		want   string
	}{
		{"contract 3.5, HMAC-SHA256", fields("sign_type", "HMAC-SHA256"), V2SignHMACSHA256, hmacSign},
		{"contract 3.5, MD5", fields("sign_type", "MD5"), V2SignMD5, "DCC2713CB4297A1553DAE9B597EA787B"},
		{"empty values and sign are left out", fields("sign_type", "HMAC-SHA256", "attach", "", "sign", "X"), V2SignHMACSHA256, hmacSign},
		{"unknown type", fields(), "SHA1", ""},
		{"type in lower case", fields(), "md5", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := SignV2(tt.fields, key, tt.kind); got != tt.want {
				t.Errorf("SignV2 = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSignV2_EveryFieldCounts(t *testing.T) {
	t.Parallel()
	key := NewSecret("0123456789abcdef0123456789ABCDEF")
	base := map[string]string{"b": "2", "A": "1", "a": "0"}
	want := SignV2(base, key, V2SignHMACSHA256)
	for _, edit := range []map[string]string{
		{"b": "2", "A": "1"},
		{"b": "2", "A": "1", "a": "00"},
		{"b": "2", "A": "1", "a": "0", "c": "3"},
		{"B": "2", "A": "1", "a": "0"},
	} {
		if got := SignV2(edit, key, V2SignHMACSHA256); got == want {
			t.Errorf("%v signs like %v", edit, base)
		}
	}
	if got := string(v2SignText(base)); got != "A=1&a=0&b=2" {
		t.Errorf("text = %q, want byte order", got)
	}
}
