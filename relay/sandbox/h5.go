package sandbox

import "net/url"

// h5Path is the path of WeChat's middle page.
const h5Path = "/cgi-bin/mmpayweb-bin/checkmweb"

// h5URL is the address that opens WeChat from a phone's browser (v3.md 9).
func (o *order) h5URL(origin string) string {
	return origin + h5Path + "?prepay_id=" + url.QueryEscape(o.PrepayID) + "&package=" + o.H5Package
}
