package jssdk_test

import (
	"fmt"

	"github.com/wxrelay/wxrelay/relay/wechat/jssdk"
)

// The ticket and the address are those of WeChat's document.
func ExampleSign() {
	page, err := jssdk.ParsePage("http://mp.weixin.qq.com?params=value#top")
	if err != nil {
		fmt.Println(err)
		return
	}
	const ticket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
	fmt.Println(page.Origin())
	fmt.Println(jssdk.Sign(ticket, "Wm3WZYTPz0wzccnW", 1414587457, page))
	// Output:
	// http://mp.weixin.qq.com
	// 0f9de62fce790f9a083d5c99e95740ceb90c27ed
}
