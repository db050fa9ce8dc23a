"""Run by `pytest` in this folder, where Moneyer is installed: its fixtures are there without an import."""

from shop import Shop


def test_an_order_is_paid_when_its_transfer_is_deep_enough(moneyer_node):
    shop = Shop(moneyer_node.url, moneyer_node.address("bob"))

    moneyer_node.send("alice", "bob", "2.5", memo="order 1")
    assert not shop.is_paid("order 1", "2.5")
    moneyer_node.mine()
    assert not shop.is_paid("order 1", "2.5")
    moneyer_node.mine()
    assert shop.is_paid("order 1", "2.5")


def test_each_test_begins_with_a_new_chain(moneyer_node):
    assert moneyer_node.height == 0
    assert not Shop(moneyer_node.url, moneyer_node.address("bob")).is_paid("order 1", "2.5")


def test_a_payment_on_a_branch_that_loses_is_no_payment(moneyer_network):
    net = moneyer_network(graph="line:2")
    shop = Shop(net["2"].url, net["2"].address("bob"))

    net.cut("1", "2")
    net.send("alice", "bob", "2.5", memo="order 1", node="2")
    net.mine("2", 2)
    assert shop.is_paid("order 1", "2.5")

    # On the other side of the cut Alice sends the same coins to Carol, and more work is done.
    net.send("alice", "carol", "999", node="1")
    net.mine("1", 3)
    net.heal()
    net.wait_one_tip()
    assert not shop.is_paid("order 1", "2.5")
