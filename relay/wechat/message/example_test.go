package message_test

import (
	"fmt"

	"github.com/wxrelay/wxrelay/relay/wechat/message"
)

// A server reads what the platform pushes; here both ends are ours.
func ExampleReceiver_Open() {
	r, err := message.NewReceiver(message.ReceiverOptions{Token: func() []byte { return []byte("token") }})
	if err != nil {
		fmt.Println(err)
		return
	}
	push := message.NewPush("token", "1714036504", "1514711492", []byte(
		`<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1714036504</CreateTime>`+
			`<MsgType>event</MsgType><Event>CLICK</Event><EventKey>orders</EventKey></xml>`))
	query, err := message.ParseQuery(push.Query.Values())
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := r.Open(query, push.Body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.MsgType, m.Event, m.EventKey)
	// Output: event CLICK orders
}
