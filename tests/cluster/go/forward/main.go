// Forward hands the connections of an inherited listening socket on to an address.
//
// The socket was opened in the machine's network; this process lives in the node's network of its own. So the
// API server there is reached through the machine's loopback, and nothing else is.
package main

import (
	"io"
	"log"
	"net"
	"os"
	"strconv"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: forward DESCRIPTOR-OF-LISTENING-SOCKET ADDRESS")
	}
	descriptor, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.FileListener(os.NewFile(uintptr(descriptor), "listener"))
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(client.(*net.TCPConn), os.Args[2])
	}
}

func serve(client *net.TCPConn, address string) {
	defer client.Close()
	reached, err := net.Dial("tcp", address)
	if err != nil {
		log.Print(err)
		return
	}
	server := reached.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{})
	go func() {
		pass(server, client)
		close(done)
	}()
	pass(client, server)
	<-done
}

// pass copies until the source ends, then tells the other side that nothing more will come.
func pass(to, from *net.TCPConn) {
	io.Copy(to, from)
	to.CloseWrite()
	from.CloseRead()
}
