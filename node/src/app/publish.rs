use super::shelf::*; use super::*; use netpay_core::wire::{index::*,browse::*}; use netpay_core::id::ContentRoot; use crate::store::StoreError;
pub struct Rows; impl Rows { pub fn new(_:Db)->Self{Rows} }
impl ShelfRows for Rows { fn load(&self)->Result<Vec<ShelfRow>,RowsError>{todo!()} fn save(&self,_:&ShelfRow)->Result<(),RowsError>{todo!()} fn remove(&self,_:&ContentRoot)->Result<(),RowsError>{todo!()} }
pub struct Replicas; impl Replicas { pub fn open(_:Db,_:NetworkId)->Result<Self,StoreError>{todo!()} }
impl Node { pub fn offer(&self,_:&ContentRoot)->netpay_core::session::vendor::Offer{todo!()}
pub(super) async fn index_service(&self,_:PublicKey,_:IndexRequest)->IndexReply{todo!()}
pub(super) fn browse_service(&self,_:BrowseRequest)->BrowseReply{todo!()} }
pub async fn run(_:Node){}
