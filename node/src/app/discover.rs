use super::*; use super::view::*; use netpay_core::wire::hello::*; use netpay_core::id::ContentRoot; use netpay_core::keys::Signed; use netpay_core::content::listing::Listing; use netpay_core::wallet::Seller;
#[derive(Default)] pub struct Contacts; impl Node {
pub async fn find_vendors(&self,_:&ContentRoot)->Result<Vec<Signed<Listing>>,Trouble>{todo!()}
pub(super) fn hello_service(&self,_:PublicKey,_:Hello)->Welcome{todo!()}
pub(super) fn found(&self,_:&Signed<Listing>)->Found{todo!()}
pub(super) fn peer_named(&self,_:&str)->Result<PublicKey,Trouble>{todo!()}
pub(super) async fn sellers(&self,_:PublicKey,_:usize)->Result<Vec<Seller>,Trouble>{todo!()} }
pub async fn run(_:Node){}
pub fn known_peers(_:&Db)->Result<Vec<(PublicKey,Vec<Multiaddr>)>,Trouble>{todo!()}
